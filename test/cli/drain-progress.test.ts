// When a wait for a drain ends, and where the drain holds.
import test from 'ava';
import { endOf, progressOf, timeLeft, whereDrained } from '../../src/cli/drain-progress.ts';
import { drainReport, statusReport, syncReport } from '../status/fixture.ts';

const FTP1 = { service: 'ftp', server: 'ftp1' };
const FTP2 = { service: 'ftp', server: 'ftp2' };
const reportOf = (...drains: ReturnType<typeof drainReport>[]) => statusReport({ drains });
const first = (changes: Parameters<typeof drainReport>[0] = {}) => drainReport(changes);
const second = (changes: Parameters<typeof drainReport>[0] = {}) => drainReport({ server: 'ftp2', ...changes });

test('it waits for the last session on all of them', t => {
  const both = [FTP1, FTP2];
  t.is(endOf(reportOf(first(), second()), both), 'waiting');
  t.is(endOf(reportOf(first({ phase: 'empty' }), second({ phase: 'ending' })), both), 'waiting');
  t.is(endOf(reportOf(first({ phase: 'empty' }), second({ phase: 'empty' })), both), 'empty');
  t.is(endOf(reportOf(first({ phase: 'empty' }), second({ phase: 'over' })), both), 'over');
  t.is(endOf(reportOf(first({ phase: 'empty' })), both), 'enabled');
  t.is(endOf(reportOf(first({ phase: 'empty' }), second()), [FTP1]), 'empty', 'others are no business of it');
});

test('progress names sessions and transfers, or connections where those are not counted', t => {
  const line = progressOf([
    first({ sessions: 1 }),
    second({ sessions: null, transfers: null }),
    first({ phase: 'empty' }),
  ]);
  t.is(line, 'ftp/ftp1: 1 session, 1 transfer; ftp/ftp2: 4 open connections; ftp/ftp1: empty');
  const dns = { kind: 'udp', sessions: null, transfers: null, activeConnections: 0 } as const;
  t.is(progressOf([first({ ...dns, inactiveConnections: 3 })]), 'ftp/ftp1: 3 client ports');
  t.is(progressOf([first({ ...dns, inactiveConnections: 0 })]), 'ftp/ftp1: not known on this router');
  t.is(timeLeft([first({ leftMs: 61_000 }), second({ leftMs: 5_000 })]), '1m 1s left');
});

test('both routers, or this one only with the reason and what to do', t => {
  t.is(whereDrained(reportOf(first()), [FTP1]), 'on both routers');
  const alone = { drains: [first({ shared: false })] };
  const where = (sync: ReturnType<typeof syncReport>) => whereDrained(statusReport({ ...alone, sync }), [FTP1]);
  t.regex(
    where(syncReport({ phase: 'off', links: [] })),
    /^this router only: the connection sync is disabled, so give/,
  );
  t.regex(where(syncReport({ links: [] })), /^this router only: there is no link to the director of/);
  t.regex(where(syncReport()), /^this router only: the director of \S+ has not confirmed it/);
});
