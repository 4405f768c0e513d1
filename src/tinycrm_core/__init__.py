"""TinyCRM: one row per person, one badge per product."""

from tinycrm_core.bound import BoundProject
from tinycrm_core.client import TinyCRM
from tinycrm_core.delivery import Stats
from tinycrm_core.errors import (
    Conflict,
    Forgotten,
    InvalidEmail,
    InvalidFilter,
    InvalidInput,
    InvalidKey,
    InvalidParams,
    InvalidStatus,
    InvalidTime,
    NotFound,
    NotSupported,
    StoreError,
    TinyCRMError,
    TookTooLong,
    Undelivered,
)
from tinycrm_core.events import ChangeEmail, Identify, Ping
from tinycrm_core.limits import Limits
from tinycrm_core.model import (
    ABSENT,
    Change,
    Customer,
    History,
    Membership,
    Page,
    Project,
    Result,
    Status,
)
from tinycrm_core.previews import MergePreview
from tinycrm_core.signals import customer_created, customers_merged, status_changed
from tinycrm_core.store import Totals

__version__ = "0.1.0"

__all__ = [
    "ABSENT",
    "BoundProject",
    "Change",
    "ChangeEmail",
    "Conflict",
    "Customer",
    "Forgotten",
    "History",
    "Identify",
    "InvalidEmail",
    "InvalidFilter",
    "InvalidInput",
    "InvalidKey",
    "InvalidParams",
    "InvalidStatus",
    "InvalidTime",
    "Limits",
    "Membership",
    "MergePreview",
    "NotFound",
    "NotSupported",
    "Page",
    "Ping",
    "Project",
    "Result",
    "Stats",
    "Status",
    "StoreError",
    "TinyCRM",
    "TinyCRMError",
    "TookTooLong",
    "Totals",
    "Undelivered",
    "customer_created",
    "customers_merged",
    "status_changed",
]
