"""Counts captures by media type in a Parquet export, with DuckDB, as JSON.

usage: parquet.py FILE
"""
import json
import sys

import duckdb

rows = duckdb.execute("select content_mime_type, count(*) from read_parquet(?) group by 1", [sys.argv[1]]).fetchall()
print(json.dumps(dict(rows)))
