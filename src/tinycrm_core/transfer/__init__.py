"""Import and export: CSV of any system in, CSV and JSON lines out, as streams."""

from tinycrm_core.transfer.export import csv_chunks, export_csv, export_jsonl, jsonl_chunks
from tinycrm_core.transfer.guard import content_disposition, guard, unguard
from tinycrm_core.transfer.importer import import_csv
from tinycrm_core.transfer.jsonl import import_jsonl
from tinycrm_core.transfer.presets import PRESETS
from tinycrm_core.transfer.report import ImportReport, Kept, Progress, Reject, Sample
from tinycrm_core.transfer.sniff import InvalidFile

__all__ = [
    "PRESETS",
    "ImportReport",
    "InvalidFile",
    "Kept",
    "Progress",
    "Reject",
    "Sample",
    "content_disposition",
    "csv_chunks",
    "export_csv",
    "export_jsonl",
    "guard",
    "import_csv",
    "import_jsonl",
    "jsonl_chunks",
    "unguard",
]
