"""Says what warcio finds in WARC files: one line of JSON a record.

usage: records.py FILE...

The payload's SHA-256 is that of the entity: without transfer coding and,
where the server compressed it, without content coding.
"""
import hashlib
import json
import sys

from warcio.archiveiterator import ArchiveIterator


def describe(name, reader, record):
    head = record.rec_headers
    sha, size = hashlib.sha256(), 0
    stream = record.content_stream()
    while chunk := stream.read(65536):
        sha.update(chunk)
        size += len(chunk)
    status = record.http_headers.get_statuscode() if record.http_headers else ""
    return {
        "file": name,
        "offset": reader.get_record_offset(),
        "length": reader.get_record_length(),
        "type": record.rec_type,
        "uri": head.get_header("WARC-Target-URI") or "",
        "date": head.get_header("WARC-Date") or "",
        "status": status or "",
        "location": record.http_headers.get_header("Location") or "" if record.http_headers else "",
        "sha256": sha.hexdigest(),
        "size": size,
        "truncated": head.get_header("WARC-Truncated") or "",
        "refers_to_uri": head.get_header("WARC-Refers-To-Target-URI") or "",
        "refers_to_date": head.get_header("WARC-Refers-To-Date") or "",
    }


for name in sys.argv[1:]:
    with open(name, "rb") as f:
        reader = ArchiveIterator(f)
        for record in reader:
            # The length is known only when the record was read to its end.
            line = describe(name, reader, record)
            reader.read_to_end(record)
            line["length"] = reader.get_record_length()
            print(json.dumps(line))
