// A reader with a fault behind conditions that chance alone does not meet: what the engine is tried on.

/** Throws for texts that begin with "FUZZ" and go on for long. */
export function walkMaze(bytes: Buffer): void {
  if (bytes[0] !== 0x46) return;
  if (bytes[1] !== 0x55) return;
  if (bytes[2] !== 0x5a) return;
  if (bytes[3] !== 0x5a) return;
  if (bytes.length > 8) throw new Error('the middle of the maze');
}
