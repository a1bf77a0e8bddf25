// No file makes an import throw, hang or show a secret: good files with lines and characters changed at random, and text of all
// kinds. A property, with fast-check; a failure names its seed.
import test from 'ava';
import fc from 'fast-check';
import { parseConfig } from '../../src/config/document.ts';
import { OLD_KINDS, type OldKind } from '../../src/import/old-kind.ts';
import { filled, imported } from './importing.ts';

const SECRET = 'Zx9SecretQ';

/** Each line with the secret is one on which it is never shown. */
const FILES: Readonly<Record<OldKind, string>> = {
  'lvs.cf': `primary = 192.0.2.2
backup = 192.0.2.3
backup_active = 1
network = nat
nat_router = 198.51.100.1 eth1:1
virtual ftp {
  active = 1
  address = 192.0.2.100 eth0:1
  port = 21
  send = "USER ${SECRET}\\r\\n"
  expect = "220"
  send_program = "/bin/check --password=${SECRET} %h"
  start_cmd = "/bin/start ${SECRET}"
  server a {
    address = 198.51.100.11
    active = 1
    weight = 1
  }
}
`,
  'keepalived.conf': `global_defs {
  notification_email { a@example.com }
  router_id one
}
$PASS=${SECRET}
vrrp_script check { script "/bin/check http://user:${SECRET}@192.0.2.9/" }
vrrp_instance one {
  interface eth0
  @one priority 100
  authentication {
    auth_type PASS
    auth_pass ${SECRET}
  }
  virtual_ipaddress { 192.0.2.100/24 dev eth0 }
  notify_master "/bin/mail ${SECRET}"
}
virtual_server 192.0.2.100 21 {
  protocol TCP
  lb_kind DR
  real_server 192.0.2.11 21 {
    weight 1
    MISC_CHECK { misc_path "/bin/mysql -p${SECRET}" }
  }
}
`,
  'ldirectord.cf': `checkinterval=5
emailalert=ftp://user:${SECRET}@example.com
virtual=192.0.2.100:21
\treal=198.51.100.11:21 masq 2
\tservice=ftp
\tlogin="${SECRET}"
\tpasswd="${SECRET}"
\treceive="${SECRET}"
\tcheckcommand="/bin/check ${SECRET}"
`,
};

/** The same for checks of other services, apart so that no line comes to a check that shows what it asks for. */
const CHECK_FILES: Readonly<Record<string, readonly [kind: OldKind, text: string]>> = {
  'an lvs.cf that sends a text': [
    'lvs.cf',
    `primary = 192.0.2.2
network = nat
virtual redis {
  active = 1
  address = 192.0.2.100 eth0:1
  port = 6379
  send = "AUTH ${SECRET}\\r\\n"
  expect = "+OK"
  server a {
    address = 198.51.100.11
    active = 1
  }
}
`,
  ],
  'a keepalived.conf that sends datagrams and asks for a page': [
    'keepalived.conf',
    `vrrp_script check { script "/bin/check ${SECRET}" }
vrrp_instance one {
  interface eth0
  virtual_ipaddress { 192.0.2.100/24 dev eth0 }
  track_script { check }
}
virtual_server 192.0.2.100 53 {
  protocol UDP
  real_server 192.0.2.11 53 {
    UDP_CHECK {
      payload ${SECRET}
      require_reply
    }
  }
}
virtual_server 192.0.2.100 443 {
  protocol TCP
  real_server 192.0.2.11 443 {
    SSL_GET {
      url { path /health?sig=${SECRET} }
    }
  }
}
`,
  ],
  'an ldirectord.cf that asks for a page': [
    'ldirectord.cf',
    `virtual=192.0.2.100:80
\treal=198.51.100.11:80 masq
\tservice=http
\trequest="/health?sig=${SECRET}"
\tlogin="${SECRET}"
`,
  ],
  'an ldirectord.cf that sends a text and runs a program': [
    'ldirectord.cf',
    `virtual=192.0.2.100:7000
\treal=198.51.100.11:7000 masq
\tservice=simpletcp
\trequest="${SECRET}"
\tchecktype=external
\tcheckcommand="/bin/check ${SECRET}"
`,
  ],
};

/** Junk that readers stumble over. */
const JUNK = [
  '{',
  '}',
  '"',
  "'",
  '#',
  '!',
  '\\',
  '@one ',
  '@^two ',
  '$',
  '${',
  '~SEQ(a, 1, 9) ',
  '~LST(x, 1',
  '=',
  '\r',
  '\0',
  '\t',
  '    ',
  'include *',
  '$A=$A $A',
  '\u202e',
  '\ufffd',
  '0x',
  '->',
  '[',
  ']:',
];

/** The same inputs in each run. */
const SEED = 20261129;
const CHANGES = ['delete', 'double', 'swap', 'insert', 'before', 'behind', 'misspell', 'split'] as const;
type Change = readonly [kind: (typeof CHANGES)[number], at: number, junk: number];

const change = fc.tuple(fc.constantFrom(...CHANGES), fc.nat(1_000), fc.nat(JUNK.length - 1));

/** A slip in one of the words before the secret. */
function misspelt(line: string, at: number, slip: number): string {
  const words = [...line.slice(0, line.indexOf(SECRET)).matchAll(/[A-Za-z_]{3,}/g)];
  const word = words[at % Math.max(words.length, 1)];
  if (word === undefined) return line;
  const place = word.index + (at % (word[0].length - 1));
  const [a = '', b = ''] = line.slice(place, place + 2);
  const wrong = [b, b + a, a + a + b, `${a}x`][slip % 4];
  return line.slice(0, place) + wrong + line.slice(place + 2);
}

/** The line in two, cut before the secret, with a blank line or a comment between them. */
function split(line: string, at: number, between: number): string {
  const cuts = [...line.slice(0, line.indexOf(SECRET)).matchAll(/(?<=\w)(?: |=(?=["' ]))/g)];
  const cut = cuts[at % Math.max(cuts.length, 1)];
  if (cut === undefined) return line;
  return (
    line.slice(0, cut.index + 1) + ['\n', '\n\n', '\n# remark\n', ' \\\n'][between % 4] + line.slice(cut.index + 1)
  );
}

/**
 * Changes lines as wholes, and characters of those that hold no secret: a secret stays behind its word, or behind one that is
 * nearly it.
 */
function changed(text: string, changes: readonly Change[]): string {
  const lines = text.split('\n');
  const last = changes.filter(([kind]) => kind === 'misspell' || kind === 'split');
  for (const [kind, at, index] of [...changes.filter(one => !last.includes(one)), ...last]) {
    const line = at % lines.length;
    const here = lines[line] ?? '';
    const junk = JUNK[index] ?? '';
    if (kind === 'delete') lines.splice(line, 1);
    else if (kind === 'double') lines.splice(line, 0, here);
    else if (kind === 'swap')
      [lines[line], lines[(line + 1) % lines.length]] = [lines[(line + 1) % lines.length] ?? '', here];
    else if (last.some(([one]) => one === kind)) {
      const secret = at % Math.max(lines.filter(one => one.includes(SECRET)).length, 1);
      const [place] = [...lines.entries()].filter(([, one]) => one.includes(SECRET))[secret] ?? [];
      if (place === undefined) continue;
      lines[place] = (kind === 'split' ? split : misspelt)(lines[place] ?? '', at, index);
    } else if (kind === 'before') {
      // With a slip in the same line besides it would be behind no word any more.
      if (last.length === 0 || !here.includes(SECRET)) lines[line] = junk + here;
    } else if (kind === 'behind') lines[line] = here + junk;
    else if (!here.includes(SECRET))
      lines[line] = here.slice(0, at % (here.length + 1)) + junk + here.slice(at % (here.length + 1));
  }
  return lines.join('\n');
}

const allFiles: readonly (readonly [what: string, kind: OldKind, text: string])[] = [
  ...OLD_KINDS.map(kind => [kind, kind, FILES[kind]] as const),
  ...Object.entries(CHECK_FILES).map(([what, [kind, text]]) => [what, kind, text] as const),
];

for (const [what, kind, file] of allFiles) {
  test(`${what}: whatever is changed in a file, the import ends, shows no secret, and prints a config of YAML`, t => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), fc.boolean(), (changes, isPeer) => {
        const text = changed(file, changes);
        const result = imported(kind, text, isPeer ? { peer: file } : {});
        const all = result.yaml + JSON.stringify([result.notes, result.config, result.placeholders]);
        if (all.includes(SECRET)) throw new Error(`it shows the secret:\n${text}\n---\n${result.yaml}`);
        try {
          filled(result);
        } catch (error) {
          throw new Error(`${(error as Error).message}\n${text}`, { cause: error });
        }
      }),
      { numRuns: 60, seed: SEED },
    );
    t.pass();
  });
}

test('the value of a word that was made a comment is not shown', t => {
  const shown = imported(
    'keepalived.conf',
    `virtual_server 192.0.2.100 53 {\n#  payload \n${SECRET}\n  delay_loop 5\n}\n`,
  );
  t.false((shown.yaml + JSON.stringify(shown.notes)).includes(SECRET));
});

for (const kind of OLD_KINDS) {
  test(`${kind}: text of any kind does not stop it`, t => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom(...JUNK, '\n', 'virtual ', 'real_server '), fc.string()), { maxLength: 60 }),
        parts => {
          const { yaml } = imported(kind, parts.join(''));
          const parsed = parseConfig(yaml);
          if (!parsed.ok && parsed.mistakes.some(({ problem }) => problem.startsWith('YAML'))) throw new Error(yaml);
        },
      ),
      { numRuns: 40 },
    );
    t.pass();
  });
}

// It would not end within the test's time, by far.
test('a file that repeats itself without end, or nests without end, is bounded', t => {
  t.timeout(600_000);
  imported('keepalived.conf', `${'~SEQ(a, 1, 1000) '.repeat(8)}x $a\n`.repeat(20));
  imported('keepalived.conf', 'a { '.repeat(50_000));
  imported('keepalived.conf', `${'$A=$B $B\n$B=$A $A\n'.repeat(100)}$A\n`.repeat(10));
  imported('lvs.cf', 'virtual a {\n'.repeat(30_000));
  imported('ldirectord.cf', 'virtual=192.0.2.1:21\n\treal=192.0.2.1->192.0.2.254:21 masq\n'.repeat(300));
  imported('ldirectord.cf', `virtual=192.0.2.1:21\n${'\treal=192.0.2.1->192.0.2.254:21 masq\n'.repeat(20_000)}`);
  const self = { file: 'self.conf', text: '# nothing\ninclude self.conf\n'.repeat(1_000) };
  imported('keepalived.conf', '@one include self.conf\n@two include self.conf\n', { findIncluded: () => [self] });
  for (const kind of OLD_KINDS) {
    for (const part of [' ', 'a', ':', 'a:', '?', '{', '"', ' send = a'])
      imported(kind, `send = "x${part.repeat(500_000 / part.length)}#\n`);
    const same = 'word = a\n'.repeat(50_000);
    imported(kind, same, { peer: same });
  }
  t.pass();
});
