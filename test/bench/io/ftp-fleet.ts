// Many lean FTP servers in one process, for scripts/bench nanny: `ftp-fleet.js [KEY CERTIFICATE]`. One socket takes what comes to
// port 21 of any local address, and each address is a server of its own. It speaks what a check says (RFC 959, 2428, 4217):
// greeting, login, AUTH TLS, PASV or EPSV, LIST or RETR, QUIT. Says "ready" on stdout; once stdin ends, one JSON object
// (FleetReport) with the time at which each connection came. Io.
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { type FleetReport, PASSIVE_PORT, vipOf } from '../nanny-plan.ts';

const LISTING = '-rw-r--r-- 1 ftp ftp 1024 Jan  1 00:00 probe\r\n';
const BODY = Buffer.alloc(1_024, 'tandem ');
const BACKLOG = 4_096;

const [keyFile, certFile] = process.argv.slice(2);
const context: SecureContext | undefined =
  keyFile && certFile ? createSecureContext({ key: readFileSync(keyFile), cert: readFileSync(certFile) }) : undefined;
const arrivals: Record<string, number[]> = {};
const report: FleetReport = { arrivals, complete: 0, broken: 0 };
const sessions = new Map<string, Session>();

class Session {
  readonly #address: string;
  #control: Socket;
  #data: Socket | undefined;
  #protects = false;
  #awaited: string | Buffer | undefined;
  #isTransferred = false;
  #rest = '';

  constructor(control: Socket, address: string) {
    this.#control = control;
    this.#address = address;
    this.#listen(control);
    this.#say('220 ready');
  }

  takeData(socket: Socket): void {
    const secure =
      this.#protects && context ? new TLSSocket(socket, { isServer: true, secureContext: context }) : socket;
    secure.on('error', () => socket.destroy());
    this.#data = secure;
    this.#transfer();
  }

  #listen(control: Socket): void {
    control.on('error', () => control.destroy());
    control.on('data', bytes => {
      const lines = (this.#rest + bytes.toString('latin1')).split('\r\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.#answer(line);
    });
  }

  #say(line: string): void {
    this.#control.write(`${line}\r\n`);
  }

  #answer(line: string): void {
    switch (line.split(' ', 1)[0]?.toUpperCase()) {
      case 'AUTH':
        return this.#secure();
      case 'USER':
        return this.#say('331 password');
      case 'PASS':
        return this.#say('230 in');
      case 'PROT':
        this.#protects = true;
        return this.#say('200 protected');
      case 'PBSZ':
      case 'TYPE':
        return this.#say('200 fine');
      case 'CWD':
        return this.#say('250 there');
      case 'PASV':
        // It names the VIP, as behind a pair; the check goes to the server itself.
        return this.#say(
          `227 (${vipOf(this.#address).replaceAll('.', ',')},${PASSIVE_PORT >> 8},${PASSIVE_PORT & 255})`,
        );
      case 'EPSV':
        return this.#say(`229 passive (|||${PASSIVE_PORT}|)`);
      case 'LIST':
      case 'RETR':
        this.#awaited = line.startsWith('LIST') ? LISTING : BODY;
        return this.#transfer();
      case 'QUIT':
        if (this.#isTransferred) report.complete += 1;
        this.#say('221 bye');
        this.#control.end();
        return;
      default:
        report.broken += 1;
        return this.#say('500 what');
    }
  }

  #transfer(): void {
    const [data, what] = [this.#data, this.#awaited];
    if (data === undefined || what === undefined) return;
    [this.#data, this.#awaited] = [undefined, undefined];
    this.#say('150 here it comes');
    data.end(what, () => {
      this.#isTransferred = true;
      this.#say('226 done');
    });
  }

  #secure(): void {
    if (context === undefined) return this.#say('502 no TLS here');
    const plain = this.#control;
    plain.write('234 go on\r\n');
    plain.removeAllListeners('data');
    const secured = new TLSSocket(plain, { isServer: true, secureContext: context });
    this.#control = secured;
    this.#listen(secured);
  }
}

function take(socket: Socket): void {
  const { localAddress: address = '' } = socket;
  const times = arrivals[address] ?? [];
  arrivals[address] = times;
  times.push(performance.timeOrigin + performance.now());
  const session = new Session(socket, address);
  sessions.set(address, session);
  socket.on('close', () => sessions.get(address) === session && sessions.delete(address));
}

/** A data connection belongs to the session of the address that it came to. */
function takeData(socket: Socket): void {
  const session = sessions.get(socket.localAddress ?? '');
  if (session) session.takeData(socket);
  else socket.destroy();
}

createServer({ noDelay: true }, take).listen(21, '0.0.0.0', BACKLOG, () => {
  createServer({ noDelay: true }, takeData).listen(PASSIVE_PORT, '0.0.0.0', BACKLOG, () =>
    process.stdout.write('ready\n'),
  );
});
process.stdin.on('end', () => process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0)));
process.stdin.resume();
