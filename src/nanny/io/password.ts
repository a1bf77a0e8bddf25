// Reads the password of a check, or another secret of it, from its file. Not pure: one small file,
// read anew for every check, so that a changed one needs no reload.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

const SECRET_FILE_BYTES_MAX = 1024;

/** How a file is spoken of. */
interface SecretFile {
  readonly name: string;
  /** What is to be written into it. */
  readonly holds: string;
}

const PASSWORD: SecretFile = { name: 'password file', holds: 'the password' };

/**
 * The first line of `path`. Throws an Error that says what to do when the file cannot be read, is
 * open to others than its owner, is empty or too long.
 */
export async function readPassword(path: string): Promise<string> {
  const [password = ''] = (await readRootOnly(path, PASSWORD)).toString('utf8').split(/\r?\n/);
  if (password === '') throw new Error(`password file ${path} is empty; write the password into its first line`);
  return password;
}

/** All of `path`, at most 1 KiB, under the same conditions. */
export async function readRootOnly(path: string, { name, holds }: SecretFile): Promise<Buffer> {
  // Without O_NONBLOCK a FIFO in that place would hold the check for ever.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: NodeJS.ErrnoException) => {
    throw new Error(`${name} ${path} cannot be read (${cause.code ?? cause.message}); create it, mode 0600`, { cause });
  });
  try {
    const about = await file.stat();
    if (!about.isFile()) throw new Error(`${name} ${path} is not a regular file; write ${holds} into one`);
    if ((about.mode & 0o077) !== 0) throw new Error(`${name} ${path} is open to others; chmod 600 ${path}`);
    if (about.size > SECRET_FILE_BYTES_MAX)
      throw new Error(`${name} ${path} is longer than ${SECRET_FILE_BYTES_MAX} bytes; write ${holds} alone`);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SECRET_FILE_BYTES_MAX), 0, SECRET_FILE_BYTES_MAX, 0);
    if (bytesRead === 0) throw new Error(`${name} ${path} is empty; write ${holds} into it`);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
