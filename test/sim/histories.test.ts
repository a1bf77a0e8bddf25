// Histories that once failed (histories.ts): each must hold now.
import test from 'ava';
import { HISTORIES, planOfHistory } from './histories.ts';
import { runPlan } from './run.ts';

for (const history of HISTORIES) {
  test(`it holds when ${history.name} (seed ${history.seed})`, t => {
    const lines: string[] = [];
    const { breach } = runPlan(
      planOfHistory(history, (at, who, text) => lines.push(`${at.toFixed(2)} ${who} ${text}`)),
    );
    t.is(breach, undefined, `${JSON.stringify(breach)}\n${lines.join('\n')}`);
  });
}
