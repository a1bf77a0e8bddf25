// Reads the config for a running pulse, as a child of it: `node main.js FILE NODE`. A file system
// that hangs and a parser at work have no place in the heartbeat's event loop, nor in its real-time
// class. Writes one ConfigReading as JSON on stdout and ends.
import { pulseDigest, restartParts } from '../../config/digest.ts';
import { loadConfig, mistakesOn } from '../../config/io/load.ts';
import { nodeView } from '../../config/node.ts';
import type { ConfigReading } from '../reading.ts';
import { reloadableOf } from '../settings.ts';

function read(file: string, node: string): ConfigReading {
  const loaded = loadConfig(file);
  const mistakes = mistakesOn(loaded, file, node);
  if (!loaded.ok || mistakes.length > 0) return { ok: false, mistakes: mistakes.length, first: mistakes[0] ?? '' };
  const { config, digest, warnings } = loaded;
  return {
    ok: true,
    next: reloadableOf(config, nodeView(config, node)),
    digest,
    pulseDigest: pulseDigest(config, node),
    parts: restartParts(config, node),
    warnings: warnings.length,
  };
}

const [, , file = '', node = ''] = process.argv;
process.stdout.write(`${JSON.stringify(read(file, node))}\n`);
