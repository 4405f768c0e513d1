"""What identify is measured against: two rows written by hand, with the least that can hold them.

The raw tables have no history, no index of params, no event times and no search; the Django
models neither. Both have what makes two rows two rows: keys and one index each.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

TABLES = """
CREATE TABLE raw_customers (id BIGINT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT,
    seen BIGINT NOT NULL);
CREATE TABLE raw_memberships (email TEXT NOT NULL, project INTEGER NOT NULL, status TEXT NOT NULL,
    params {json} NOT NULL, seen BIGINT NOT NULL, PRIMARY KEY (email, project));
CREATE INDEX raw_seen ON raw_customers (seen);
CREATE INDEX raw_status ON raw_memberships (project, status, seen);
"""
CUSTOMER = """
INSERT INTO raw_customers (id, email, name, seen) VALUES ({v}, {v}, {v}, {v})
ON CONFLICT (email) DO UPDATE SET name = excluded.name, seen = excluded.seen
"""
MEMBERSHIP = """
INSERT INTO raw_memberships (email, project, status, params, seen) VALUES ({v}, {v}, {v}, {v}, {v})
ON CONFLICT (email, project) DO UPDATE SET status = excluded.status, params = excluded.params,
    seen = excluded.seen
"""
ONE_STATEMENT = """
WITH one AS (
    INSERT INTO raw_customers (id, email, name, seen) VALUES (%s, %s, %s, %s)
    ON CONFLICT (email) DO UPDATE SET name = excluded.name, seen = excluded.seen
)
INSERT INTO raw_memberships (email, project, status, params, seen) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (email, project) DO UPDATE SET status = excluded.status, params = excluded.params,
    seen = excluded.seen
"""
Person = tuple[int, str, dict[str, Any]]
"""A number, an address and params."""


def two_rows(people: Sequence[Person], now: int) -> tuple[list[Any], list[Any]]:
    customers = [(number, email, "Ada", now) for number, email, _ in people]
    memberships = [(email, 1, "paid", json.dumps(params), now) for _, email, params in people]
    return customers, memberships


class RawSQLite:
    """The driver of the standard library, one connection, one transaction for each call."""

    def __init__(self, path: Path, synchronous: str) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute(f"PRAGMA synchronous={synchronous}")
        self.connection.execute("PRAGMA foreign_keys=ON")
        self.connection.executescript(TABLES.format(json="TEXT"))
        self._customer, self._membership = CUSTOMER.format(v="?"), MEMBERSHIP.format(v="?")
        self._clock = count(10**15)

    def write(self, people: Sequence[Person]) -> None:
        customers, memberships = two_rows(people, next(self._clock))
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        if len(people) == 1:
            connection.execute(self._customer, customers[0])
            connection.execute(self._membership, memberships[0])
        else:
            connection.executemany(self._customer, customers)
            connection.executemany(self._membership, memberships)
        connection.execute("COMMIT")


class RawPostgres:
    """psycopg, one connection, prepared statements as it makes them by itself."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect("postgresql://" + url.partition("://")[2])
        self.connection.execute(TABLES.format(json="JSONB"))
        self.connection.commit()
        self._customer, self._membership = CUSTOMER.format(v="%s"), MEMBERSHIP.format(v="%s")
        self._clock = count(10**15)

    def write(self, people: Sequence[Person]) -> None:
        customers, memberships = two_rows(people, next(self._clock))
        with self.connection.transaction(), self.connection.cursor() as cursor:
            if len(people) == 1:
                cursor.execute(self._customer, customers[0])
                cursor.execute(self._membership, memberships[0])
            else:
                cursor.executemany(self._customer, customers)
                cursor.executemany(self._membership, memberships)

    def analyze(self) -> None:
        """Count the rows of all tables, as the database does by itself within a minute.

        Before that it plans for empty tables, and walks whole indexes of those that filled up.
        """
        self.connection.execute("ANALYZE")
        self.connection.commit()

    def write_as_one(self, people: Sequence[Person]) -> None:
        ((customer,), (membership,)) = two_rows(people, next(self._clock))
        with self.connection.transaction():
            self.connection.execute(ONE_STATEMENT, customer + membership)


def django_writer(path: Path, synchronous: str) -> Callable[[Person], None]:
    """`update_or_create` of a customer and a membership in one transaction of Django's ORM."""
    import django
    from django.conf import settings
    from django.db import connection, models, transaction

    pragmas = f"PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous};"
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(path),
                "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": pragmas},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()

    class Customer(models.Model):
        email = models.TextField(unique=True)
        name = models.TextField(null=True)
        seen = models.BigIntegerField(db_index=True)

        class Meta:
            app_label = "benchmarks"

    class Membership(models.Model):
        customer = models.ForeignKey(Customer, models.CASCADE)
        project = models.IntegerField()
        status = models.TextField()
        params = models.JSONField()
        seen = models.BigIntegerField()

        class Meta:
            app_label = "benchmarks"
            unique_together = (("customer", "project"),)
            indexes = (models.Index(fields=("project", "status", "seen"), name="dj_status"),)

    with connection.schema_editor() as editor:
        editor.create_model(Customer)
        editor.create_model(Membership)
    clock = count(10**15)

    def write(person: Person) -> None:
        _, email, params = person
        now = next(clock)
        with transaction.atomic():
            customer, _ = Customer.objects.update_or_create(
                email=email, defaults={"name": "Ada", "seen": now}
            )
            Membership.objects.update_or_create(
                customer=customer,
                project=1,
                defaults={"status": "paid", "params": params, "seen": now},
            )

    return write
