// Tries passive ports through the VIP, as a client would: from the standby, by way of the router
// that serves. Not pure. A refusal is as good as an answer: the packet came through to a server
// that does not listen there now.
import { connect } from 'node:net';
import type { PassiveAnswer, PassiveTry } from '../host-facts.ts';

const ANSWER_MS = 1_500;

/** Codes of somebody's answer, and of the kernel's own end of waiting. */
const SAID: Readonly<Record<string, PassiveAnswer['answer']>> = {
  ECONNREFUSED: 'answered',
  ECONNRESET: 'answered',
  ETIMEDOUT: 'silent',
};

export async function tryPassivePorts(tries: readonly PassiveTry[]): Promise<readonly PassiveAnswer[]> {
  return await Promise.all(tries.map(attempt));
}

function attempt({ service, vip, source, port }: PassiveTry): Promise<PassiveAnswer> {
  return new Promise(resolve => {
    const socket = connect({ host: vip, port, localAddress: source });
    const end = (answer: PassiveAnswer['answer'], code = '') => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ service, vip, port, answer, code });
    };
    const timer = setTimeout(() => end('silent'), ANSWER_MS);
    socket.on('connect', () => end('answered'));
    socket.on('error', ({ code = '', message }: NodeJS.ErrnoException) => {
      const said = SAID[code];
      if (said === undefined) end('failed', code || message);
      else end(said);
    });
  });
}
