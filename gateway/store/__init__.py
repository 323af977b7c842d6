"""The gateway's tables: the only place that speaks SQL, by SQLAlchemy Core and Alembic.

Neutral SQL: SQLite by default, PostgreSQL for growth.
"""
