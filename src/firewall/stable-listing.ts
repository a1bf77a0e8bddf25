// A table as `nft -j` lists it, without what moves by itself, so that two listings can be compared:
// what counters count, the kernel's numbers of rules, what is in named sets and maps, and nft's own
// version, which an upgrade changes. Pure. Source: libnftables-json(5).

const MOVING = /"(?:handle|packets|bytes)": ?\d+(?:, ?)?|\{"metainfo": ?\{[^}]*\}\}(?:, ?)?/g;

export function stableListing(json: string): string {
  // Not every nft leaves elements out when it is asked to (-t).
  return (json.includes('"elem"') ? withoutElements(json) : json).replace(MOVING, '');
}

interface Listed {
  readonly nftables: readonly Readonly<Record<string, { readonly elem?: unknown }>>[];
}

function withoutElements(json: string): string {
  const { nftables } = JSON.parse(json) as Listed;
  const bare = nftables.map(item =>
    Object.fromEntries(
      Object.entries(item).map(([type, { elem, ...about }]) =>
        type === 'set' || type === 'map' ? [type, about] : [type, elem === undefined ? about : { ...about, elem }],
      ),
    ),
  );
  return JSON.stringify(bare);
}
