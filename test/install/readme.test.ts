// The lab takes README's commands from its text: what it takes, and that it notices when there is
// nothing to take.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { DEBIANS, installCommands, removeCommand, upgradeCommands } from './readme.ts';
import { heldBy } from './watch.ts';

const README = readFileSync(fileURLToPath(new URL('../../../README.md', import.meta.url)), 'utf8');

test('each Debian gets the lines for all and its own, in README’s order and without comments', t => {
  const text = `## Install on two routers\n\nWords.\n\n\`\`\`sh
a install     # Debian 13 only
b             # Debian 12 only
c && d        # says why
e
\`\`\`\n\n## Next\n\n\`\`\`sh\nf\n\`\`\`\n`;
  t.deepEqual(installCommands(text, '12'), ['b', 'c && d', 'e']);
  t.deepEqual(installCommands(text, '13'), ['a install', 'c && d', 'e']);
});

for (const debian of DEBIANS)
  test(`on Debian ${debian} README installs a node, the packages, Tandem, and starts it, in this order`, t => {
    const commands = installCommands(README, debian);
    const order = [
      debian === '12' ? /^tar -C \/usr\/local .*node-v/ : /^apt-get install .*nodejs npm/,
      /^git clone <this repository> tandem && cd tandem$/,
      /^npm ci /,
      /^scripts\/install$/,
      /^systemctl daemon-reload$/,
      /^tandem keygen$/,
      /^editor \/etc\/tandem\/tandem\.yaml$/,
      /^tandem check$/,
      /^systemctl enable --now tandem-director tandem-pulse$/,
      /^tandem status$/,
    ].map(pattern => commands.findIndex(command => pattern.test(command)));
    t.false(order.includes(-1), `${order}: ${commands.join('; ')}`);
    t.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
    );
  });

test('an upgrade fetches and builds, restarts, and hands over', t => {
  const { fetch, restart, handOver } = upgradeCommands(README);
  t.regex(fetch, /^git pull && .*scripts\/install$/);
  t.is(restart, 'tandem upgrade');
  t.is(handOver, 'tandem upgrade --handover');
});

test('what is removed is stopped first, and systemd forgets it', t => {
  t.regex(removeCommand(README), /^systemctl disable --now .* && scripts\/uninstall && systemctl daemon-reload$/);
});

test('a README without these parts is told', t => {
  t.throws(() => installCommands('# Tandem\n', '13'), { message: /README has no "## Install on two routers"/ });
  t.throws(() => installCommands('## Install on two routers\n\nWords.\n', '13'), { message: /no ```sh block/ });
  t.throws(() => removeCommand('**Remove**: nothing.\n'), { message: /no command/ });
  t.throws(() => upgradeCommands('**Upgrade**: `one` and `two`\n\n`three`\n'), {
    message: /fewer than three commands/,
  });
});

test('who held an address, and for how long two did, follows from when each had it', t => {
  const change = (at: number, router: 'r1' | 'r2', holds: boolean) => ({ at, router, holds });
  t.deepEqual(
    heldBy([change(0, 'r1', true), change(120, 'r1', false), change(100, 'r2', true), change(300, 'r1', true)]),
    { bothMs: 20, owners: ['r1', 'r2', 'r1'] },
  );
  t.deepEqual(heldBy([]), { bothMs: 0, owners: [] });
});
