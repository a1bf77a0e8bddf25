// Who gives a command, for people to read: no proof. Not pure.
import { userInfo } from 'node:os';

/** The person behind sudo, if there is one. */
export function whoAmI(): string {
  const { SUDO_USER: sudoer } = process.env;
  if (sudoer) return sudoer;
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}
