import type { RecordKeys } from '../record-keys.ts';
import type { Link } from './diagnose.ts';

export interface HmacResult {
  /** The first record with a wrong HMAC, or without HMAC although an earlier record has one. */
  readonly forged: number | undefined;
  /** The number of records that no known key verifies, and that no person has accepted. */
  readonly unverifiable: number;
}

/** The note of the record with which a person accepts all records before it that no known key verifies. */
export const ACCEPT_RECORDS_NOTE = 'audit accept --records';

/** Checks the HMACs of records, in the order of the chain. */
export class HmacCheck {
  readonly #keys: Pick<RecordKeys, 'check'> | undefined;
  #sawHmac: boolean;
  #forged: number | undefined;
  #unverifiable = 0;

  /** @param sawHmac Whether a record before the first one has an HMAC. */
  constructor(keys: Pick<RecordKeys, 'check'> | undefined, sawHmac: boolean) {
    this.#keys = keys;
    this.#sawHmac = sawHmac;
  }

  add({ sequence, fields }: Link): void {
    const hasHmac = fields.hmac !== undefined;
    const isStripped = this.#sawHmac && !hasHmac;
    this.#sawHmac ||= hasHmac;
    const authenticity = isStripped ? 'edited' : this.#keys?.check(fields);
    if (authenticity === 'edited') this.#forged ??= sequence;
    if (authenticity === 'unverifiable') this.#unverifiable += 1;
    const isAcceptance = fields.action === 'command' && fields.note === ACCEPT_RECORDS_NOTE;
    if (authenticity === 'authentic' && isAcceptance) this.#unverifiable = 0;
  }

  result(): HmacResult {
    return { forged: this.#forged, unverifiable: this.#unverifiable };
  }
}
