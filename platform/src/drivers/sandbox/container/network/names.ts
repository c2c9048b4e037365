/** What the things of one platform home are called on the host, so that its agents find them again and no other home does. */

export interface Names {
  /** All interfaces of the home on the host begin with it. */
  readonly linkPrefix: string;
  readonly namespacePrefix: string;
  /** Of interfaces that are about to be removed. */
  readonly linkGroup: number;
  /** Family and name of the nft table. */
  readonly table: string;
  /** Holds the address of the forwarder of names. */
  readonly forwarderLink: string;
  readonly forwarderNamespace: string;
}

/** Fixed, so that no home's interfaces begin with another's. */
const KEY = /^[0-9a-f]{6}$/;

/** Where `ip netns` keeps the files by which namespaces are held. */
export const PIN_FOLDER = "/run/netns";

/** @param home six hexadecimal digits, another for every platform home on the host. */
export function createNames(home: string): Names {
  if (!KEY.test(home)) throw new RangeError(`the key of a home is six hexadecimal digits, not "${home}"`);
  return {
    linkPrefix: `cb${home}-`,
    namespacePrefix: `colibri-${home}-`,
    // Past what people number by hand.
    linkGroup: 2 ** 30 + Number.parseInt(home, 16),
    table: `inet colibri_${home}`,
    forwarderLink: `cb${home}-dns`,
    forwarderNamespace: `colibri-${home}-dns`,
  };
}

/** The number in a network's namespace name; undefined for other names. */
export function networkNumber(names: Names, namespace: string): number | undefined {
  return numberAfter(names.namespacePrefix, namespace);
}

export function linkNumber(names: Names, link: string): number | undefined {
  return numberAfter(names.linkPrefix, link);
}

function numberAfter(prefix: string, name: string): number | undefined {
  const rest = name.startsWith(prefix) ? name.slice(prefix.length) : "";
  return /^(?:0|[1-9]\d{0,4})$/.test(rest) ? Number(rest) : undefined;
}
