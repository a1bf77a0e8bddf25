// Text of an old file that a terminal may be given. Pure.

/** What a terminal or an editor obeys: control characters, line ends, marks of direction. */
const OBEYED = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A blank for each character that is not printed. */
export function withoutControls(text: string): string {
  return text.replace(OBEYED, ' ');
}
