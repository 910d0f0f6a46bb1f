import type { X509Certificate } from 'node:crypto';
import { JsonError, parseJson } from '../../core/json.ts';
import { type Budget, TemplateError } from './budget.ts';
import { TEXT_FILTERS } from './filters-text.ts';
import { certificatesIn, chainOrder, isSelfSigned, PemError, privateKeyIn } from './pem.ts';
import { Binary, fromBytes, fromNode, jsonText, plain, textOf } from './values.ts';

export interface Filter {
  /** How many arguments it takes, from and to. */
  readonly args: readonly [number, number];
  /** Pure: no clock, no randomness, nothing from outside. Spends what its work costs before it does it. */
  readonly run: (budget: Budget, input: unknown, ...args: readonly unknown[]) => unknown;
}

export type Filters = Readonly<Record<string, Filter>>;

/** Every filter there is. */
export const FILTERS: Filters = {
  ...TEXT_FILTERS,
  json: { args: [0, 0], run: (b, it) => jsonText(it, b) },
  from_json: { args: [0, 0], run: (b, it) => parsed(textOf(it, b), b) },
  base64: { args: [0, 0], run: (b, it) => encoded(it, 'base64', b) },
  /** The same, by the name that Liquid gives it elsewhere. */
  base64_encode: { args: [0, 0], run: (b, it) => encoded(it, 'base64', b) },
  base64_decode: { args: [0, 0], run: (b, it) => decoded(textOf(it, b), 'base64') },
  base64url: { args: [0, 0], run: (b, it) => encoded(it, 'base64url', b) },
  base64url_decode: { args: [0, 0], run: (b, it) => decoded(textOf(it, b), 'base64url') },
  pem_certificates: {
    args: [0, 0],
    run: (b, it) => pem(() => certificatesIn(textOf(it, b)).map(String)),
  },
  pem_chain: { args: [0, 0], run: (b, it) => certificates(b, it, (all) => all) },
  pem_leaf: { args: [0, 0], run: (b, it) => certificates(b, it, (all) => all.slice(0, 1)) },
  pem_intermediates: {
    args: [0, 0],
    run: (b, it) => certificates(b, it, ([, ...issuers]) => issuers.filter((one) => !isSelfSigned(one))),
  },
  pem_root: {
    args: [0, 0],
    run(b, it) {
      const roots = certificates(b, it, (all) => all.filter(isSelfSigned));
      if (roots === '') throw new TemplateError('there is no self-signed certificate');
      return roots;
    },
  },
  pem_key: { args: [0, 0], run: (b, it) => pem(() => privateKeyIn(textOf(it, b))) },
};

function parsed(text: string, b: Budget): unknown {
  try {
    return fromNode(parseJson(text), b);
  } catch (error) {
    if (error instanceof JsonError) throw new TemplateError('this is not JSON');
    throw error;
  }
}

type Encoding = 'base64' | 'base64url';

function encoded(input: unknown, encoding: Encoding, b: Budget): string {
  const value = plain(input);
  const bytes = value instanceof Binary ? Binary.bytesOf(value) : Buffer.from(textOf(value, b), 'utf8');
  b.text(Math.ceil(bytes.byteLength / 3) * 4);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding);
}

/** RFC 4648, as strict as `decode` of a source: `base64` with its padding, no white space. */
function decoded(text: string, encoding: Encoding): string | Binary {
  const digits = encoding === 'base64url' && text.length % 4 === 0 ? text.replace(/={1,2}$/, '') : text;
  const bytes = Buffer.from(digits, encoding);
  if (bytes.toString(encoding) !== digits) throw new TemplateError(`this is not ${encoding}`);
  return fromBytes(bytes, `what \`${encoding}_decode\` gives`);
}

function certificates(
  b: Budget,
  input: unknown,
  select: (chain: readonly X509Certificate[]) => readonly X509Certificate[],
): string {
  return pem(() =>
    select(chainOrder(certificatesIn(textOf(input, b))))
      .map(String)
      .join(''),
  );
}

function pem<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof PemError) throw new TemplateError(error.message);
    throw error;
  }
}
