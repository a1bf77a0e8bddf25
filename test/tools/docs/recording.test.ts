// The picture of a terminal's session that README shows.
import test from 'ava';
import { recording } from './recording.ts';

test('lines come one after the other, waits are cut short, and nothing is markup', t => {
  const svg = recording('scripts/demo', [
    { atS: 0.2, text: 'a < b & c' },
    { atS: 60, text: 'after a minute' },
  ]);
  const shown = [...svg.matchAll(/animation-duration: ([\d.]+)s">([^<]*)</g)].map(match => match.slice(1));
  t.deepEqual(shown, [
    ['0.00', '# scripts/demo'],
    ['0.70', 'a &lt; b &amp; c'],
    ['2.20', 'after a minute'],
  ]);
});

test('a long line goes on below, whole', t => {
  const words = Array.from({ length: 40 }, (_, index) => `word${index}`).join(' ');
  const rows = [...recording('x', [{ atS: 0, text: words }]).matchAll(/s">([^<]*)</g)].map(match => match[1] ?? '');
  t.true(rows.every(row => row.length <= 104) && rows.length > 2);
  t.is(
    rows
      .slice(1)
      .map(row => row.trim())
      .join(' '),
    words,
  );
});
