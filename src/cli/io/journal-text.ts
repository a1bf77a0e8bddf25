// Reads a journal file, compressed or not: bounded, for it may come from anywhere.
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { CliError, EXIT } from '../exit.ts';

const FILE_BYTES_MAX = 33_554_432;
const TEXT_BYTES_MAX = 67_108_864;

/** Throws a CliError. */
export function journalText(file: string): string {
  try {
    const bytes = readBounded(file);
    const isCompressed = bytes[0] === 0x1f && bytes[1] === 0x8b;
    return (isCompressed ? gunzipSync(bytes, { maxOutputLength: TEXT_BYTES_MAX }) : bytes).toString('utf8');
  } catch (error) {
    throw new CliError(`cannot read ${file}: ${(error as Error).message}`, { exitCode: EXIT.no, cause: error });
  }
}

function readBounded(file: string): Buffer {
  // Non-blocking, so that a pipe in its place cannot hang us.
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const info = fstatSync(fd);
    if (!info.isFile()) throw new Error('it is no regular file');
    if (info.size > FILE_BYTES_MAX) throw new Error(`it is longer than ${FILE_BYTES_MAX} bytes`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
