"""Takes what programs tell syslog(3) and writes it to a file, a line for each: pure-ftpd has no other
log of commands. Usage: syslog.py FILE"""
import os
import socket
import sys

PATH = "/dev/log"
if os.path.exists(PATH):
    sys.exit(PATH + " is there already: this is no lab")
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log, open(sys.argv[1], "wb", buffering=0) as file:
    log.bind(PATH)
    os.chmod(PATH, 0o666)
    while True:
        file.write(log.recv(8192).rstrip(b"\0\n") + b"\n")
