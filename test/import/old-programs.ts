// How an old config is given to the program that it was written for, so that all its servers are in
// IPVS at once: nothing is changed but the health checks, which have no say in what is compared.
// Lines keep their numbers. Pure.

const CHECKS =
  /\b(?:HTTP_GET|SSL_GET|TCP_CHECK|SMTP_CHECK|DNS_CHECK|MISC_CHECK|UDP_CHECK|PING_CHECK|BFD_CHECK|FILE_CHECK)\s*\{/g;

/**
 * A keepalived.conf without its checks: a server that has none is always used. Without the namespace
 * that it wants to run in, too.
 */
export function withoutChecks(text: string): string {
  // Comments and quoted words hold no braces that count.
  const plain = text.replace(/"[^"\n]*"|[#!][^\n]*/g, part => ' '.repeat(part.length));
  let rest = text;
  for (const { index, 0: head } of [...plain.matchAll(CHECKS)].reverse()) {
    let end = index + head.length;
    for (let depth = 1; depth > 0 && end < plain.length; end++) {
      if (plain[end] === '{') depth++;
      else if (plain[end] === '}') depth--;
    }
    rest = rest.slice(0, index) + rest.slice(index, end).replace(/[^\n]/g, '') + rest.slice(end);
  }
  return rest.replace(/^.*\bnet_namespace\b.*$/gm, '');
}

/** A line with its number in the file as it was found; 0: it is not from there. */
export interface OldLine {
  readonly text: string;
  readonly number: number;
}

const CHECKTYPE = /^(?:\t| {4,})checktype\s*=\s*(\w*)/;

/** An ldirectord.cf whose servers are used without being asked; those never used stay so. */
export function alwaysOn(text: string): OldLine[] {
  const lines: OldLine[] = [];
  let isVirtual = false;
  let isOff = false;
  const end = () => {
    if (isVirtual && !isOff) lines.push({ text: '\tchecktype=on', number: 0 });
    isVirtual = false;
  };
  for (const [index, line] of text.split('\n').entries()) {
    const isInside = /^(?:\t| {4,})|^\s*#/.test(line);
    if (!isInside) end();
    if (/^virtual6?\s*=/.test(line)) [isVirtual, isOff] = [true, false];
    const type = isVirtual ? CHECKTYPE.exec(line)?.[1] : undefined;
    if (type !== undefined) isOff = type === 'off';
    lines.push({ text: line, number: index + 1 });
  }
  end();
  return lines;
}

/** Without what stood in this line, so that it ends no block. */
export function withoutLine(lines: readonly OldLine[], number: number): OldLine[] {
  return lines.map(line => (line.number === number ? { text: '# refused', number } : line));
}

/** The line of the file as it was found that ldirectord refuses; undefined: it says nothing of the kind. */
export function refusedLine(output: string, lines: readonly OldLine[]): number | undefined {
  const [, at] = /^Error \[\d+\] reading file .* at line (\d+):/m.exec(output) ?? [];
  return at === undefined ? undefined : lines[Number(at) - 1]?.number;
}
