"""One FTP session with Python's ftplib, as its own documentation uses it: logs in, fetches whoami,
waits for a line on stdin when told so, and fetches one file to stdout. No fall-back, no retry."""
import argparse
import ftplib
import ssl
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--host", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--source", required=True)
parser.add_argument("--active", action="store_true")
parser.add_argument("--tls", action="store_true")
parser.add_argument("--ca")
parser.add_argument("--whoami", required=True)
parser.add_argument("--wait", action="store_true")
parser.add_argument("file")
options = parser.parse_args()

if options.tls:
    context = ssl.create_default_context(cafile=options.ca)
    ftp = ftplib.FTP_TLS(context=context, timeout=60)
else:
    ftp = ftplib.FTP(timeout=60)
# The address that 227 names is used as it is: announcing a wrong one must fail here.
ftp.trust_server_pasv_ipv4_address = True
ftp.connect(options.host, options.port, source_address=(options.source, 0))
ftp.set_pasv(not options.active)
ftp.login()
if options.tls:
    ftp.prot_p()
with open(options.whoami, "wb") as file:
    ftp.retrbinary("RETR whoami", file.write)
if options.wait:
    sys.stdin.readline()


def write(chunk):
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


ftp.retrbinary("RETR " + options.file, write)
