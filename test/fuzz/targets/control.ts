// pulse's control socket with real clients on a real unix socket: whatever they send, in whatever pieces, each line gets one reply
// and the next client is answered.
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LINE_BYTES_MAX } from '../../../src/feed/files.ts';
import { controlRequests } from '../samples-lines.ts';
import { insist, type Target } from '../target.ts';

const ANSWER_MS_MAX = 1_000;
const HANG_ON_MAX = 8;

export const controlTarget: Target = {
  name: 'control',
  says: 'clients of the control socket: a reply a line, a line too long ends the client, the next one is served',
  files: ['src/pulse/io/control-socket.ts', 'src/socket/lines.ts'],
  words: ['\n', ...controlRequests().map(line => `${line}\n`), '{', '"', '\0', 'x'.repeat(9_000)],
  bytesMax: 200_000,
  async load() {
    const { serveControl } = await import('../../../src/pulse/io/control-socket.ts');
    const { controlReplySchema } = await import('../../../src/feed/message.ts');
    // A thread has no umask of its own to set; the socket's mode is not what is tried here.
    process.umask = () => 0o022;
    const directory = mkdtempSync(join(tmpdir(), 'tandem-fuzz-'));
    const path = join(directory, 'control.sock');
    const server = await serveControl(path, request => ({ ok: true, code: 'ok', message: request.command }));
    /** Clients that never say goodbye. */
    const hanging: ReturnType<typeof connect>[] = [];

    /** Sends, ends, and gives all that came back until the other side ended too. */
    const talk = (bytes: Buffer, pieceBytes: number) =>
      new Promise<string>((resolve, reject) => {
        const socket = connect(path);
        let said = '';
        socket.setTimeout(ANSWER_MS_MAX, () => {
          socket.destroy();
          reject(new Error(`the control socket did not answer within ${ANSWER_MS_MAX} ms`));
        });
        socket.on('error', () => {});
        socket.on('close', () => resolve(said));
        socket.setEncoding('utf8').on('data', (text: string) => {
          said += text;
        });
        socket.on('connect', () => {
          for (let at = 0; at < bytes.length; at += pieceBytes) socket.write(bytes.subarray(at, at + pieceBytes));
          socket.end();
        });
      });
    const hangOn = (bytes: Buffer) => {
      const socket = connect(path).on('error', () => {});
      socket.write(bytes);
      hanging.push(socket);
      if (hanging.length > HANG_ON_MAX) hanging.shift()?.destroy();
    };
    return {
      seeds: controlRequests().map(line => Buffer.from(`\x00\x40${line}\n${line}\n`)),
      async run(input) {
        const [kind = 0, piece = 1] = input;
        const bytes = input.subarray(2);
        if (kind % 16 === 15) return hangOn(bytes);
        const replies = (await talk(bytes, 1 + piece * (kind % 4 === 0 ? 256 : 16))).split('\n').slice(0, -1);
        for (const reply of replies) controlReplySchema.parse(JSON.parse(reply));
        const lines = bytes.toString('latin1').split('\n');
        const short = lines.every(line => line.length <= LINE_BYTES_MAX);
        // A client that asks faster than it reads may be cut off; a short one must get all its replies.
        if (short && bytes.length < 8_192)
          insist(replies.length === lines.length - 1, `${replies.length} replies to ${lines.length - 1} lines`);
      },
      async settle() {
        const reply = await talk(Buffer.from('{"command":"release"}\n'), 100);
        insist(reply.includes('"ok":true'), 'a good client was not served');
      },
      async close() {
        for (const socket of hanging) socket.destroy();
        server.close();
        rmSync(directory, { recursive: true, force: true });
      },
    };
  },
};
