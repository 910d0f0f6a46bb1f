import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isPostgres } from '../../app/audit-place.ts';
import { readSigner } from '../../app/keys.ts';
import { pemOf } from '../../audit/checkpoint/signing.ts';
import { formatOf, readExport } from '../../audit/verify/export-file.ts';
import { contentsOf, type Evidence, type Proof, prove } from '../../audit/verify/verify.ts';
import { codeOf } from '../../core/system-errors.ts';
import type { Context } from '../context.ts';
import { type EvidenceOptions, evidenceOf } from '../evidence.ts';
import { EXIT } from '../exit.ts';
import { type AuditOptions, auditCredentials, checkPlace, openAuditForReading } from '../read-audit.ts';
import { requireConfig } from '../require-config.ts';
import { count, type Paint, print } from '../texts/output.ts';
import { UsageError } from '../usage-error.ts';

export interface VerifyOptions extends AuditOptions, EvidenceOptions {
  readonly publicKey?: boolean;
}

/** Needs no running service; with a file, an export or a database at hand, no network either. */
export async function auditVerifyCommand(context: Context, options: VerifyOptions): Promise<number> {
  checkPlace('--audit', options.audit);
  if (options.publicKey) return printPublicKey(context, options);
  // Somebody else's log is verified without any configuration.
  const wanted = options.audit === undefined || options.config !== undefined;
  const config = wanted ? await requireConfig(context, options) : undefined;
  if (wanted && config === undefined) return EXIT.config;
  // Before the records: what is added meanwhile lies behind it.
  const evidence = await evidenceOf(context, options, config);
  const found = await proofOf(context, options, evidence);
  if (found === undefined) return EXIT.config;
  const { proof, isExport } = found;
  // Of an audit that has nothing yet, there is nothing to prove.
  const missing = proof.records === 0 ? [] : evidence.missing;
  print(context, options.output, {
    data: { ...proof, ...(missing.length === 0 ? {} : { missing }) },
    human: (paint) =>
      [
        proofText(proof, evidence, paint),
        ...(isExport && proof.problem?.kind === 'deleted' ? [GAPS] : []),
        ...missingText(missing, paint),
      ].join('\n'),
  });
  return proof.ok ? EXIT.ok : EXIT.person;
}

async function proofOf(
  context: Context,
  options: VerifyOptions,
  evidence: Evidence,
): Promise<{ readonly proof: Proof; readonly isExport: boolean } | undefined> {
  const { audit: place } = options;
  const path = place === undefined || isPostgres(place) ? undefined : resolve(context.cwd, place);
  if (path !== undefined && (await isPipe(path)))
    throw new UsageError(
      '--audit: it is looked at more than once, which a pipe does not bear: write it to a file',
    );
  const format = path === undefined ? undefined : await formatOf(path);
  if (format === 'csv' || format === 'ocsf')
    throw new UsageError(
      `--audit: ${place} looks like an export as ${format.toUpperCase()}, which nothing proves: take one with --format jsonl`,
    );
  // With nothing in it, it is an export where something else can tell what it lacks.
  const isExport = format === 'jsonl' || (format === 'empty' && evidence.checkpoints.length > 0);
  if (path !== undefined && isExport)
    return { proof: await prove({ ...(await readExport(path)), part: true, evidence }), isExport };
  await using audit = await openAuditForReading(context, options);
  if (audit === undefined) return undefined;
  // Awaited here: the store must outlive it.
  return { proof: await prove({ ...(await contentsOf(audit)), evidence }), isExport };
}

async function isPipe(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFIFO();
  } catch (error) {
    // What cannot be looked at, its own reader says.
    if (codeOf(error) === undefined) throw error;
    return false;
  }
}

async function printPublicKey(context: Context, options: VerifyOptions): Promise<number> {
  const config = await requireConfig(context, options);
  if (config === undefined) return EXIT.config;
  const credential = auditCredentials(context, config);
  const { signer } = await readSigner(config.keys.checkpoint, { credential });
  const publicKey = pemOf(signer.publicKey);
  print(context, options.output, {
    data: { keyId: signer.keyId, publicKey },
    human: () => publicKey,
    verbatim: true,
  });
  return EXIT.ok;
}

const GAPS = 'An export that was made with filters lacks records as well: it has gaps, and is no chain.';

const FOUND: Readonly<Record<NonNullable<Proof['problem']>['kind'], string>> = {
  edited: 'was edited',
  deleted: 'was deleted',
  inserted: 'was inserted',
  reordered: 'is not where it was written',
  truncated: 'and all after it were cut off',
  checkpoint: 'is not what a checkpoint says of it',
};

/**
 * Whoever cuts off the end also empties the places that they can reach, and the store cannot tell that from a place
 * that is new: it is for a person to know.
 */
function missingText(missing: readonly string[], paint: Paint): readonly string[] {
  if (missing.length === 0) return [];
  return [
    `${paint('yellow', 'warning')}: There is no checkpoint in ${missing.join(' nor in ')}, where the configuration wants one at the end of each command and every five minutes. It is new, could not be written, or was emptied by whoever altered the audit: find out which before you trust this.`,
  ];
}

function headline(problem: Proof['problem'], paint: Paint): string {
  return problem?.unknownKey
    ? `${paint('red', 'The audit is in doubt')}: the checkpoint of record ${problem.sequence} agrees with it, but is signed by a key that is not known. That may be an older one of yours, or whoever forged both.`
    : `${paint('red', 'The audit was altered')}: record ${problem?.sequence} ${problem && FOUND[problem.kind]}.`;
}

function proofText(proof: Proof, { keys, checkpoints }: Evidence, paint: Paint): string {
  const { ok, from, problem, sealed, accepted, unchecked, cutProved } = proof;
  // Between the last checkpoint that agrees and the one that does not, any record may be the bad one.
  const records =
    problem?.kind === 'checkpoint' ? Math.max(0, (problem.after ?? 0) - from + 1) : proof.records;
  const last = from + records - 1;
  const range = records === 0 ? '' : `, ${from} to ${last}`;
  const lines = [
    ok
      ? `${paint('green', 'The chain holds')}: ${count(records, 'record')}${range}.`
      : headline(problem, paint),
  ];
  if (problem?.kind === 'checkpoint' && !problem.unknownKey)
    lines.push(
      `The first altered record is one of ${Math.max(from, (problem.after ?? 0) + 1)} to ${problem.sequence}, or the checkpoint itself was forged.`,
    );
  if (!ok) lines.push(`Good: ${count(records, 'record')}${range}.`);
  lines.push(
    checkpoints.length === 0
      ? 'Not proved: no checkpoint was looked at, so neither records cut off the end together with the note of the last one, nor a chain that was recomputed would show.'
      : `${count(proof.checkpoints, 'signed checkpoint')} of ${checkpoints.length} ${proof.checkpoints === 1 ? 'agrees' : 'agree'}${sealed === undefined ? '' : `; the last covers all records up to ${sealed.sequence} (${sealed.time})`}.`,
  );
  if (unchecked > 0)
    lines.push(
      keys.size === 0
        ? `Not proved: ${count(unchecked, 'signature')}, for want of a key (--key).`
        : `${count(unchecked, 'checkpoint')} of a key that is not known: give it by --key if it is one of yours.`,
    );
  if (accepted > 0)
    lines.push(`${count(accepted, 'checkpoint')} of records that are gone, as a person has accepted.`);
  const left = Math.min(
    checkpoints.filter(({ sequence }) => sequence < from - 1).length,
    checkpoints.length - proof.checkpoints - unchecked - accepted,
  );
  if (left > 0) lines.push(`${count(left, 'checkpoint')} of records before ${from}, which are not here.`);
  if (from > 1)
    lines.push(
      `It begins at record ${from}; that record ${from - 1} was the one before is ${cutProved ? 'proved by a checkpoint' : 'not proved'}.`,
    );
  if (ok && sealed !== undefined && sealed.sequence < last)
    lines.push(
      `Not proved: ${last === sealed.sequence + 1 ? `record ${last}` : `records ${sealed.sequence + 1} to ${last}`} came after that checkpoint. An edit of ${last === sealed.sequence + 1 ? 'it' : 'them'} that recomputes the chain would not show.`,
    );
  return lines.join('\n');
}
