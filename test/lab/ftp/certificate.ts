// A certificate for the lab's FTP servers, made anew for each lab. Io.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../pair/netns.ts';
import { PUBLIC } from '../pair/outside.ts';
import { VIP, VIP6 } from '../pair/topology.ts';
import type { ServerTls } from './server-tls.ts';

/** Of its own authority, for every address that clients know. */
export async function makeCertificate(dir: string, demandsReuse: boolean): Promise<ServerTls> {
  await mkdir(dir, { recursive: true });
  const [certificate, key] = ['certificate.pem', 'key.pem'].map(name => path.join(dir, name)) as [string, string];
  const names = `subjectAltName=${[VIP, VIP6, PUBLIC].map(address => `IP:${address}`)}`;
  const subject = ['-subj', '/CN=ftp.example', '-addext', names, '-days', '30'];
  const files = ['-keyout', key, '-out', certificate];
  await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files, ...subject]);
  return { certificate, key, demandsReuse };
}
