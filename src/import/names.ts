import { createHash } from 'node:crypto';

const MAX = 63;

export interface Names {
  /**
   * A name of ours for something of theirs: the same one at every run, whatever else is imported beside it, except
   * for the second of two that would get the same.
   */
  take(wanted: string, identity: string): string;
}

export function createNames(): Names {
  const taken = new Set<string>();
  return {
    take(wanted, identity) {
      const plain = plainName(wanted);
      const name = plain.length <= MAX && !taken.has(plain) ? plain : withHash(plain, identity);
      taken.add(name);
      return name;
    },
  };
}

function plainName(wanted: string): string {
  const plain = wanted
    .toLowerCase()
    .replace(/[^-a-z0-9.]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '');
  return plain === '' ? 'unnamed' : plain;
}

function withHash(plain: string, identity: string): string {
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 8);
  return `${plain.slice(0, MAX - hash.length - 1).replace(/[-.]+$/, '')}-${hash}`;
}
