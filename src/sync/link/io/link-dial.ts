// The connecting side of a sync link: tries until there is an authenticated connection, and again
// when it ends. Not pure.

import { connect, type Socket } from 'node:net';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import type { Link } from '../../../config/node.ts';
import { monotonicNow } from '../../../units/io/clocks.ts';
import { type LinkKey, TAKES_PROTOCOL, TLS_ONLY } from '../link-key.ts';
import { backoffMs, type CountLink, type LinkLimits } from '../link-limits.ts';

interface DialOptions {
  readonly link: Pick<Link, 'local' | 'remote'>;
  readonly port: number;
  /** Those in use now, the one that is meant first; at least one. */
  readonly offers: () => readonly LinkKey[];
  readonly limits: LinkLimits;
  readonly random: () => number;
  readonly count: CountLink;
  /** An authenticated connection; `over` is to be called once when it has ended. */
  connected(socket: TLSSocket, identity: string, over: () => void): void;
  /** Why the last attempt failed, as a clause. */
  failed(problem: string): void;
}

interface Dialer {
  close(): void;
}

export function startDialer(options: DialOptions): Dialer {
  const { limits, random } = options;
  let failures = 0;
  /** Attempts without a connection since the last one: each offers the next key. */
  let refusals = 0;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let attempt: Attempt | undefined;

  const again = (): void => {
    attempt = undefined;
    if (closed) return;
    timer = setTimeout(dial, backoffMs(failures, limits, random));
    failures++;
  };
  const dial = (): void => {
    const offers = options.offers();
    const offer = offers[refusals % offers.length] as LinkKey;
    attempt = startAttempt(options, offer, outcome => {
      if (!outcome.ok) {
        refusals++;
        options.failed(outcome.problem);
        again();
        return;
      }
      attempt = undefined;
      refusals = 0;
      const since = monotonicNow();
      options.connected(outcome.socket, offer.identity, () => {
        // A connection that ends at once is a failure too, or two routers would turn in a circle.
        if (monotonicNow() - since > limits.backoffMsMax) failures = 0;
        again();
      });
    });
  };
  dial();
  return {
    close: () => {
      closed = true;
      clearTimeout(timer);
      attempt?.abandon();
    },
  };
}

type Outcome = { readonly ok: true; readonly socket: TLSSocket } | { readonly ok: false; readonly problem: string };

interface Attempt {
  /** Ends it without an outcome. */
  abandon(): void;
}

/**
 * One attempt: TCP, then TLS, each in its time. `done` is called at most once, never before this
 * returns.
 */
function startAttempt(
  { link, port, limits, count }: DialOptions,
  offer: LinkKey,
  done: (outcome: Outcome) => void,
): Attempt {
  let over = false;
  let secure: TLSSocket | undefined;
  const finish = (outcome: Outcome): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    if (!outcome.ok) {
      count(secure === undefined ? 'connectFailures' : 'handshakeFailures');
      secure?.destroy();
      raw.destroy();
    }
    done(outcome);
  };
  const fail = (problem: string) => finish({ ok: false, problem });
  const tooLate = (what: string, ms: number) => setTimeout(() => fail(`${what} within ${ms / 1_000} s`), ms);

  const raw = connect({ host: link.remote, port, localAddress: link.local, noDelay: true });
  let timer = tooLate('no TCP connection', limits.connectMs);
  raw.on('error', error => fail(error.message));
  raw.on('close', () => fail('the peer closed the connection before it was authenticated'));
  raw.once('connect', () => {
    if (over) return;
    clearTimeout(timer);
    timer = tooLate('no TLS handshake', limits.handshakeMs);
    secure = handshake(raw, offer);
    const established = secure;
    established.on('error', error =>
      fail(`the TLS handshake failed (${error.message.trim()}); is the key the same on both routers?`),
    );
    established.once('secureConnect', () => {
      // With a pre-shared key TLS 1.3 counts as a session that goes on; anything else was not
      // authenticated by ours.
      if (established.isSessionReused()) finish({ ok: true, socket: established });
      else fail('the other side did not prove the pair’s key');
    });
  });
  const abandon = (): void => {
    over = true;
    clearTimeout(timer);
    secure?.destroy();
    raw.destroy();
  };
  return { abandon };
}

function handshake(socket: Socket, { identity, key }: LinkKey): TLSSocket {
  return tlsConnect({
    ...TLS_ONLY,
    ALPNProtocols: [TAKES_PROTOCOL],
    socket,
    pskCallback: () => ({ identity, psk: key }),
    // No authority is trusted: a certificate, however good, proves nothing here.
    ca: [],
    rejectUnauthorized: true,
    checkServerIdentity: () => new Error('a certificate was offered instead of the pair’s key'),
  });
}
