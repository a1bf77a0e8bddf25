"""Connects to HOST:PORT from each address and prints the address and the server's first line: which
real server a client has, without a login. Usage: first-lines.py HOST PORT ADDRESS…"""
import socket
import sys

host, port, *addresses = sys.argv[1:]
for address in addresses:
    with socket.create_connection((host, int(port)), timeout=10, source_address=(address, 0)) as one:
        print(address, one.recv(512).decode("ascii", "replace").splitlines()[0])
