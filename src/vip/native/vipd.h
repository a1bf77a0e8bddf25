/*
 * vipd, the only code that touches virtual addresses. Its rooms, from the bottom up: nobody calls
 * what stands below it in this list.
 *
 *   base/   clock: time. text: small values as text. output: lines to pulse. tables: what vipd was
 *           started with, and what is known of it. frame, send: frames that go out.
 *   hold/   Adds and removes addresses, and reads no byte from the network. lease decides (claim,
 *           renewal, removal, repair); terms says when a lease ends. netlink speaks rtnetlink;
 *           lifetimes refreshes those of the kernel, from a thread of its own. announce tells the
 *           LAN. packet-lease renews the packet lease, with the frames of gate-frame. state is the
 *           state file, will the last will.
 *   watch/  Evidence only. iface: links. place: would the kernel take an address? fixed: the
 *           routers' own addresses. packet, filter: sockets. heard: what a frame says. hear: whom
 *           it concerns, which is probe, conflict, targets and fixed.
 *   pipe/   options: the command line. command: what pulse asks for.
 *   loop    the poll loop; passes on what happens. vipd: the start, and --cleanup.
 *
 *   trial/  packet-lease-trial, a program of its own: can this kernel do the packet lease?
 *
 * The lines between pulse and vipd: pipe/command.c, src/vip/protocol.ts.
 */
#ifndef VIPD_H
#define VIPD_H

#ifndef VIPD_VERSION
#define VIPD_VERSION "0.0.0"
#endif

#endif
