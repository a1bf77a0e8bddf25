// Reads the password of a check from its file. Not pure: one small file, read anew for every check,
// so that a changed password needs no reload.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

const PASSWORD_FILE_BYTES_MAX = 1024;

/**
 * The first line of `path`. Throws an Error that says what to do when the file cannot be read, is
 * open to others than its owner, is empty or too long.
 */
export async function readPassword(path: string): Promise<string> {
  // Without O_NONBLOCK a FIFO in that place would hold the check for ever.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: NodeJS.ErrnoException) => {
    throw new Error(`password file ${path} cannot be read (${cause.code ?? cause.message}); create it, mode 0600`, {
      cause,
    });
  });
  try {
    const about = await file.stat();
    if (!about.isFile()) throw new Error(`password file ${path} is not a regular file; write the password into one`);
    if ((about.mode & 0o077) !== 0) throw new Error(`password file ${path} is open to others; chmod 600 ${path}`);
    if (about.size > PASSWORD_FILE_BYTES_MAX) {
      throw new Error(
        `password file ${path} is longer than ${PASSWORD_FILE_BYTES_MAX} bytes; write the password alone`,
      );
    }
    const { buffer, bytesRead } = await file.read(Buffer.alloc(PASSWORD_FILE_BYTES_MAX), 0, PASSWORD_FILE_BYTES_MAX, 0);
    const [password = ''] = buffer.toString('utf8', 0, bytesRead).split(/\r?\n/);
    if (password === '') throw new Error(`password file ${path} is empty; write the password into its first line`);
    return password;
  } finally {
    await file.close();
  }
}
