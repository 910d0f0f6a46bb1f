import { createHash } from 'node:crypto';

const MAX = 63;

export interface Names {
  /**
   * Chooses a valid, unique name. The name depends only on the object itself, unless an earlier object already has the
   * same preferred name.
   */
  take(preferred: string, identity: string): string;
}

export function createNames(): Names {
  const taken = new Set<string>();
  return {
    take(preferred, identity) {
      const plain = plainName(preferred);
      const name = plain.length <= MAX && !taken.has(plain) ? plain : withHash(plain, identity);
      taken.add(name);
      return name;
    },
  };
}

function plainName(preferred: string): string {
  const plain = preferred
    .toLowerCase()
    .replace(/[^-a-z0-9.]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '');
  return plain === '' ? 'unnamed' : plain;
}

function withHash(plain: string, identity: string): string {
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 8);
  return `${plain.slice(0, MAX - hash.length - 1).replace(/[-.]+$/, '')}-${hash}`;
}
