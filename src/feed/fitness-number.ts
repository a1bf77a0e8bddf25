// What the number says that a router's heartbeats and snapshots give as its fitness. Pure.

/** With all LANs of the VIPs alive; a healthy real server is 1 more. */
export const ALL_LANS = 2;

/** It finds a real server healthy, and its director runs. */
export function hasHealthyServer(fitness: number): boolean {
  return fitness % ALL_LANS > 0;
}
