// Which router of the config this machine is. Pure.

/**
 * The router that `hostname`, or its first label, names; undefined when neither does. Config names
 * are lower case.
 */
export function routerOf(hostname: string, routers: readonly string[]): string | undefined {
  const full = hostname.toLowerCase();
  return [full, shortName(full)].find(name => routers.includes(name));
}

/** "a.example.net" → "a". */
function shortName(hostname: string): string {
  return hostname.split('.', 1)[0] ?? hostname;
}
