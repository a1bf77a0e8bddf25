// A scriptable FTP server for tests: well-behaved by default, and wrong in exactly the way a test asks for. Listens on a
// loopback address with real sockets; knows nothing of src/.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';

/** What the server does instead of its normal answer. A plain string is sent as it stands (line ends included). */
export type Act =
  | string
  | { readonly kind: 'hang' }
  | { readonly kind: 'close'; readonly after?: string }
  | { readonly kind: 'reset' }
  | { readonly kind: 'late'; readonly afterMs: number; readonly text: string }
  /** Sends `text` byte by byte, over and over. */
  | { readonly kind: 'drip'; readonly text: string; readonly everyMs: number }
  /** Sends `text` over and over, as fast as it is taken. */
  | { readonly kind: 'flood'; readonly text: string };

/** What happens on the data connection once RETR or LIST came. */
export type DataAct = 'send' | 'hang' | 'reset' | 'endless' | 'drip';

export interface Script {
  readonly host?: string;
  readonly greeting?: Act;
  /** By command verb. The text of a PASV or EPSV act may hold %PORTS% (p1,p2) or %PORT%. */
  readonly on?: Readonly<Record<string, Act>>;
  /** Address that a normal 227 announces. */
  readonly announce?: string;
  readonly data?: DataAct;
  readonly contents?: string;
  /** The data port that is announced refuses connections. */
  readonly isDataPortClosed?: boolean;
  /** With TLS: after AUTH TLS, or from the first byte. The certificate is in `key` and `cert`. */
  readonly tls?: { readonly mode: 'explicit' | 'implicit'; readonly key: string; readonly cert: string };
  /** Sent in the clear right behind the 234. */
  readonly afterAuth?: string;
  /** Data of active mode come from this port; default: any. */
  readonly activePort?: number;
  /** In active mode somebody else connects first, from 127.0.0.9; or nobody else does. */
  readonly stranger?: 'first' | 'only';
  /** Files that are there when it starts: what is stored is added. */
  readonly files?: Map<string, string>;
  /** Data come in the clear although the control connection has TLS. */
  readonly isDataPlain?: boolean;
  /** The reply after the data; default "226 Transfer complete." */
  readonly final?: Act;
}

export interface HostileServer {
  readonly port: number;
  /** Commands received, as they came, over all sessions. */
  readonly commands: readonly string[];
  /** Sessions begun, and most of them open at one time. */
  readonly sessions: () => number;
  readonly sessionsMax: () => number;
  /** Data connections that resumed a TLS session, and those that did not. */
  readonly resumed: () => { readonly yes: number; readonly no: number };
  close(): Promise<void>;
}

const ANSWERS: Readonly<Record<string, string>> = {
  USER: '331 Please specify the password.\r\n',
  PASS: '230 Login successful.\r\n',
  TYPE: '200 Switching to Binary mode.\r\n',
  QUIT: '221 Goodbye.\r\n',
  PBSZ: '200 PBSZ set to 0.\r\n',
  PROT: '200 PROT now Private.\r\n',
  CWD: '250 Directory changed.\r\n',
  PORT: '200 PORT command successful.\r\n',
  EPRT: '200 EPRT command successful.\r\n',
};

export async function startHostile(script: Script = {}): Promise<HostileServer> {
  const sockets = new Set<Socket>();
  const commands: string[] = [];
  const listeners = new Set<Server>();
  const tls = script.tls && new ServerTls(script.tls);
  let sessions = 0;
  let open = 0;
  let openMax = 0;
  const server = createServer(control => {
    sessions += 1;
    open += 1;
    openMax = Math.max(openMax, open);
    keep(sockets, control);
    control.on('close', () => {
      open -= 1;
    });
    serve(control, { script, commands, listeners, sockets, tls });
  });
  const port = await listen(server, script.host ?? '127.0.0.1');
  listeners.add(server);
  return {
    port,
    commands,
    sessions: () => sessions,
    sessionsMax: () => openMax,
    resumed: () => ({ yes: tls?.resumed ?? 0, no: tls?.notResumed ?? 0 }),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await Promise.all([...listeners].map(one => new Promise(resolve => one.close(resolve))));
    },
  };
}

function keep(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.on('error', () => {});
  socket.on('close', () => sockets.delete(socket));
}

function listen(server: Server, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, () => resolve((server.address() as AddressInfo).port));
  });
}

/** The server's side of TLS, for all of its connections: so that sessions can be resumed. */
class ServerTls {
  readonly #context: SecureContext;
  resumed = 0;
  notResumed = 0;

  constructor({ key, cert }: NonNullable<Script['tls']>) {
    this.#context = createSecureContext({ key, cert });
  }

  wrap(socket: Socket): TLSSocket {
    for (const event of ['data', 'end']) socket.removeAllListeners(event);
    const secured = new TLSSocket(socket, { isServer: true, secureContext: this.#context });
    secured.on('error', () => {});
    return secured;
  }

  wrapData(socket: Socket): TLSSocket {
    const secured = this.wrap(socket);
    secured.on('secure', () => {
      if (secured.isSessionReused()) this.resumed += 1;
      else this.notResumed += 1;
    });
    return secured;
  }
}

interface Session {
  readonly script: Script;
  readonly commands: string[];
  readonly listeners: Set<Server>;
  readonly sockets: Set<Socket>;
  readonly tls: ServerTls | undefined;
}

function serve(plain: Socket, { script, commands, listeners, sockets, tls }: Session): void {
  let received = '';
  let data: Promise<Socket> | undefined;
  let control: Socket = script.tls?.mode === 'implicit' && tls ? tls.wrap(plain) : plain;
  const listen = () =>
    control.on('data', (chunk: Buffer) => {
      received += `${chunk}`;
      const lines = received.split('\r\n');
      received = lines.pop() ?? '';
      for (const line of lines) {
        commands.push(line);
        handle(...(line.split(' ') as [string, string?]));
      }
    });

  const handle = (verb: string, argument = ''): void => {
    const act = script.on?.[verb];
    if (verb === 'AUTH' && act === undefined && tls) {
      control.write(`234 Proceed with negotiation.\r\n${script.afterAuth ?? ''}`);
      control = tls.wrap(control);
      listen();
      return;
    }
    if (verb === 'PASV' || verb === 'EPSV') {
      void openData(script, listeners, sockets).then(opened => {
        data = opened.accepted.then(socket => (tls && !script.isDataPlain ? tls.wrapData(socket) : socket));
        perform(control, announce(act ?? normalAnnouncement(verb, script), opened.port));
      });
    } else if (act !== undefined) perform(control, act);
    else if (verb === 'STOR') {
      control.write('150 Ok to send data.\r\n');
      void data?.then(socket => store(control, socket, script, argument));
    } else if (verb === 'DELE') {
      control.write(script.files?.delete(argument) ? '250 Delete operation successful.\r\n' : '550 Delete failed.\r\n');
    }
    if ((verb === 'PORT' || verb === 'EPRT') && act === undefined) {
      const target = activeTarget(verb, argument);
      data = connectBack(target, script, sockets).then(socket => (tls ? tls.wrapData(socket) : socket));
    }
    if (act !== undefined || ['PASV', 'EPSV', 'STOR', 'DELE'].includes(verb)) return;
    if (verb === 'RETR' || verb === 'LIST') {
      control.write('150 Here it comes.\r\n');
      void data?.then(socket => transfer(control, socket, script));
    } else control.write(ANSWERS[verb] ?? `502 ${verb} is no command here.\r\n`);
    if (verb === 'QUIT' && act === undefined) control.end();
  };
  perform(control, script.greeting ?? '220 Hostile FTP ready.\r\n');
  listen();
}

function normalAnnouncement(verb: string, script: Script): string {
  if (verb === 'EPSV') return '229 Entering Extended Passive Mode (|||%PORT%|)\r\n';
  const address = (script.announce ?? script.host ?? '127.0.0.1').replaceAll('.', ',');
  return `227 Entering Passive Mode (${address},%PORTS%).\r\n`;
}

function announce(act: Act, port: number): Act {
  if (typeof act !== 'string') return act;
  return act.replace('%PORTS%', `${port >> 8},${port & 255}`).replace('%PORT%', `${port}`);
}

async function openData(script: Script, listeners: Set<Server>, sockets: Set<Socket>) {
  const listener = createServer();
  const port = await listen(listener, script.host ?? '127.0.0.1');
  const accepted = new Promise<Socket>(resolve => {
    listener.once('connection', socket => {
      keep(sockets, socket);
      resolve(socket);
    });
  });
  if (script.isDataPortClosed) await new Promise(resolve => listener.close(resolve));
  else listeners.add(listener);
  return { port, accepted };
}

function activeTarget(verb: string, argument: string): { host: string; port: number } {
  const parts = argument.split(verb === 'PORT' ? ',' : '|');
  if (verb === 'EPRT') return { host: parts[2] ?? '', port: Number(parts[3]) };
  return { host: parts.slice(0, 4).join('.'), port: Number(parts[4]) * 256 + Number(parts[5]) };
}

async function connectBack(
  target: { readonly host: string; readonly port: number },
  { activePort, stranger }: Script,
  sockets: Set<Socket>,
): Promise<Socket> {
  if (stranger !== undefined) {
    const other = connect({ ...target, localAddress: '127.0.0.9' });
    keep(sockets, other);
    await Promise.race([once(other, 'close'), once(other, 'connect').then(() => once(other, 'close'))]);
  }
  if (stranger === 'only') return new Promise(() => {});
  const socket = connect({ ...target, ...(activePort !== undefined && { localPort: activePort }) });
  keep(sockets, socket);
  return socket;
}

function store(control: Socket, data: Socket, script: Script, name: string): void {
  if (script.data === 'endless') return perform(data, { kind: 'flood', text: 'x'.repeat(65_536) });
  if (script.data === 'hang') return;
  let text = '';
  data.on('data', chunk => {
    text += `${chunk}`;
  });
  data.on('end', () => {
    script.files?.set(name, text);
    data.end();
    perform(control, script.final ?? '226 Transfer complete.\r\n');
  });
}

function transfer(control: Socket, data: Socket, script: Script): void {
  const final = script.final ?? '226 Transfer complete.\r\n';
  const finish = () => perform(control, final);
  switch (script.data ?? 'send') {
    case 'hang':
      data.resume();
      return;
    case 'reset':
      // Not right behind the data: libuv reports data and reset in one poll as an ordinary end.
      data.write('some');
      setTimeout(() => data.resetAndDestroy(), 50);
      setTimeout(finish, 100);
      return;
    case 'drip':
      perform(data, { kind: 'drip', text: 'x', everyMs: 20 });
      return;
    case 'endless':
      perform(data, { kind: 'flood', text: 'x'.repeat(65_536) });
      data.on('close', finish);
      return;
    case 'send':
      // Closed means that the client has seen the end, so what follows cannot overtake the data.
      data.on('close', finish);
      data.resume();
      data.end(script.contents ?? '-rw-r--r-- 1 0 0 5 Jan 01 00:00 file\r\n');
      return;
  }
}

function perform(socket: Socket, act: Act): void {
  if (typeof act === 'string') {
    socket.write(act);
    return;
  }
  switch (act.kind) {
    case 'hang':
      return;
    case 'close':
      socket.end(act.after ?? '');
      return;
    case 'reset':
      socket.resetAndDestroy();
      return;
    case 'late': {
      const timer = setTimeout(() => socket.write(act.text), act.afterMs);
      socket.on('close', () => clearTimeout(timer));
      return;
    }
    case 'drip': {
      let sent = 0;
      const timer = setInterval(() => socket.write(act.text[sent++ % act.text.length] ?? ''), act.everyMs);
      socket.on('close', () => clearInterval(timer));
      return;
    }
    case 'flood': {
      const pour = () => {
        while (!socket.destroyed && socket.write(act.text));
      };
      socket.on('drain', pour);
      pour();
    }
  }
}

/** A process that listens and never accepts. */
const DEAF = `
  const server = require('node:net').createServer();
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('node:fs').writeSync(1, String(server.address().port) + '\\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

/** A port on 127.0.0.1 whose queue is full: the kernel drops every further SYN, so that connecting meets pure silence. */
export async function startSilent(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const child = spawn(process.execPath, ['-e', DEAF], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  const port = Number(`${line}`);
  const fillers: Socket[] = [];
  // The queue takes one more than its backlog.
  for (let filled = 0; filled < 2; filled++) {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    fillers.push(socket);
    await once(socket, 'connect');
  }
  return {
    port,
    close: async () => {
      for (const socket of fillers) socket.destroy();
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}
