import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { isPostgres } from '../../app/audit.ts';
import { pemOf } from '../../audit/checkpoint/signing.ts';
import type { Evidence } from '../../audit/verify/evidence.ts';
import { detectFormat, readExport } from '../../audit/verify/export-file.ts';
import { readVerifyInput, type VerifyReport, verifyWithEvidence } from '../../audit/verify/verify.ts';
import { codeOf } from '../../core/system-errors.ts';
import {
  type AuditOptions,
  auditCredentials,
  checkAuditLocation,
  openAuditForReading,
} from '../audit-reader.ts';
import type { Context } from '../context.ts';
import { EXIT, UsageError } from '../errors.ts';
import { type EvidenceOptions, loadEvidence } from '../evidence.ts';
import { collect, command, nonEmpty, type Run } from '../options.ts';
import { RETRYABLE } from '../texts/help.ts';
import { count, type Paint, print } from '../texts/output.ts';
import { requireConfig } from '../with-app.ts';

/** Adds the command that verifies the audit log. */
export function addVerify(audit: Command, context: Context, run: Run): void {
  command(
    audit,
    'verify',
    'Verify that no record was altered, by the hash chain of a store or export and its signed checkpoints.',
    {
      examples: [
        'secretbridge audit verify',
        'secretbridge audit verify --audit export.jsonl --checkpoints checkpoints.jsonl --key checkpoint.pub',
        'secretbridge audit verify --public-key > checkpoint.pub',
      ],
      exits: [
        [0, 'no record was altered, and a checkpoint covers all but the newest records'],
        RETRYABLE,
        [2, 'the chain is intact, but no checkpoint covers enough of it'],
        [4, 'a record was altered, or checkpoints cannot be read'],
      ],
      see: ['audit accept', 'docs/how-to/verify-the-audit.md'],
    },
  )
    .option(
      '--audit <path or url>',
      'audit store, or export as JSON lines; without --config, checkpoints and keys of the configuration are not used',
      nonEmpty,
    )
    .option('--checkpoints <path>', 'file or log with checkpoints; can be repeated', collect)
    .option('--key <key or path>', 'public key: PEM, base64 or a file; can be repeated', collect)
    .option(
      '--fingerprint-key <path>',
      'file with a fingerprint key, to check the HMACs of records; can be repeated',
      collect,
    )
    .option('--public-key', 'print the public key of the configuration and exit')
    .action((options) => run(async () => auditVerifyCommand(context, options)));
}

export interface VerifyOptions extends AuditOptions, EvidenceOptions {
  readonly publicKey?: boolean;
}

/**
 * Verifies an audit log without a running service. A file, an export or a database can be verified without a
 * configuration.
 */
export async function auditVerifyCommand(context: Context, options: VerifyOptions): Promise<number> {
  checkAuditLocation('--audit', options.audit);
  if (options.publicKey) return printPublicKey(context, options);
  // An audit log from another machine is verified without a configuration.
  const usesConfig = options.audit === undefined || options.config !== undefined;
  const config = usesConfig ? await requireConfig(context, options) : undefined;
  if (usesConfig && config === undefined) return EXIT.config;
  // Read the checkpoints before the records, so that records added in the meantime come after the last checkpoint.
  const evidence = await loadEvidence(context, options, config, await besideStore(context, options));
  const verification = await verifyAudit(context, options, evidence);
  if (verification === undefined) return EXIT.config;
  const { proof, isExport } = verification;
  // An empty audit log needs no checkpoint, so do not report locations without checkpoints.
  const missing = proof.records === 0 ? [] : evidence.missing;
  print(context, options.output, {
    data: { ...proof, ...(missing.length === 0 ? {} : { missing }) },
    human: (paint) =>
      [
        proofText(proof, evidence, paint),
        ...(isExport && proof.problem?.kind === 'deleted' ? [FILTERED_EXPORT] : []),
        ...missingText(missing, paint),
      ].join('\n'),
  });
  if (!proof.ok) return EXIT.person;
  return proof.covered ? EXIT.ok : EXIT.changes;
}

async function verifyAudit(
  context: Context,
  options: VerifyOptions,
  evidence: Evidence,
): Promise<{ readonly proof: VerifyReport; readonly isExport: boolean } | undefined> {
  const { audit: place } = options;
  const path = place === undefined || isPostgres(place) ? undefined : resolve(context.cwd, place);
  if (path !== undefined && (await isPipe(path)))
    throw new UsageError('--audit: a pipe cannot be read twice: write it to a file first');
  const format = path === undefined ? undefined : await detectFormat(path);
  if (format === 'csv' || format === 'ocsf')
    throw new UsageError(
      `--audit: ${place} looks like an export as ${format.toUpperCase()}, which cannot be verified: export with --format jsonl`,
    );
  // If there are checkpoints, treat an empty file as an export. The checkpoints then show which records the export
  // lacks.
  const isExport = format === 'jsonl' || (format === 'empty' && evidence.checkpoints.length > 0);
  if (path !== undefined && isExport)
    return {
      proof: await verifyWithEvidence({ ...(await readExport(path)), isPartial: true, evidence }),
      isExport,
    };
  await using audit = await openAuditForReading(context, options);
  if (audit === undefined) return undefined;
  // Await here, because the store must stay open until verification ends.
  return { proof: await verifyWithEvidence({ ...(await readVerifyInput(audit)), evidence }), isExport };
}

/** Returns the folder of a SQLite file in `--audit`, which may contain the checkpoints and their public keys too. */
async function besideStore({ cwd }: Context, { audit, config }: VerifyOptions): Promise<string | undefined> {
  if (audit === undefined || config !== undefined || isPostgres(audit)) return undefined;
  const path = resolve(cwd, audit);
  return (await isPipe(path)) || (await detectFormat(path)) !== undefined ? undefined : dirname(path);
}

async function isPipe(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFIFO();
  } catch (error) {
    // Ignore an error of the file system here. Reading the file will fail in the same way, and that error is reported.
    if (codeOf(error) === undefined) throw error;
    return false;
  }
}

async function printPublicKey(context: Context, options: VerifyOptions): Promise<number> {
  const config = await requireConfig(context, options);
  if (config === undefined) return EXIT.config;
  const credential = auditCredentials(context, config);
  const { readSigner } = await import('../../app/keys.ts');
  const { signer } = await readSigner(config.keys.checkpoint, { credential });
  const publicKey = pemOf(signer.publicKey);
  print(context, options.output, {
    data: { keyId: signer.keyId, publicKey },
    human: () => publicKey,
    verbatim: true,
  });
  return EXIT.ok;
}

const FILTERED_EXPORT = 'A filtered export also has gaps, and cannot be verified.';

const PROBLEM_TEXTS: Readonly<Record<NonNullable<VerifyReport['problem']>['kind'], string>> = {
  edited: 'was edited',
  deleted: 'was deleted',
  inserted: 'was inserted',
  reordered: 'is not in its original position',
  truncated: 'and all later records were cut off',
  checkpoint: 'does not match its checkpoint',
};

/**
 * Returns a warning about locations without a checkpoint. A new location is empty for a moment. An attacker who
 * truncates the log can also empty a location, so a person must check a location that stays empty.
 */
function missingText(missing: readonly string[], paint: Paint): readonly string[] {
  if (missing.length === 0) return [];
  return [
    `${paint('yellow', 'warning')}: No checkpoint found in ${missing.join(' or ')} yet. A service writes one at its start, and a command at its end. If a location stays empty, check two things: secretbridge can write to it, and no one has emptied it.`,
  ];
}

function headline(problem: VerifyReport['problem'], paint: Paint): string {
  return problem?.unknownKey
    ? `${paint('red', 'The audit log cannot be trusted')}: the checkpoint of record ${problem.sequence} matches, but its signing key is unknown. It can be one of your older keys, or somebody forged both.`
    : `${paint('red', 'The audit log was altered')}: record ${problem?.sequence} ${problem && PROBLEM_TEXTS[problem.kind]}.`;
}

function proofText(proof: VerifyReport, { keys, checkpoints }: Evidence, paint: Paint): string {
  const { ok, from, problem, sealed, accepted, unchecked, cutProved, unverifiable = 0 } = proof;
  // If a checkpoint does not match, count only the records up to the last matching checkpoint. Any later record may be
  // the altered one.
  const records =
    problem?.kind === 'checkpoint' ? Math.max(0, (problem.after ?? 0) - from + 1) : proof.records;
  const last = from + records - 1;
  const range = records === 0 ? '' : `, ${from} to ${last}`;
  const lines = [
    ok
      ? `${paint(proof.covered ? 'green' : 'yellow', 'The chain is intact')}: ${count(records, 'record')}${range}.`
      : headline(problem, paint),
  ];
  if (problem?.kind === 'checkpoint' && !problem.unknownKey)
    lines.push(
      `The first altered record is between ${Math.max(from, (problem.after ?? 0) + 1)} and ${problem.sequence}, or the checkpoint was forged.`,
    );
  if (!ok) lines.push(`Good: ${count(records, 'record')}${range}.`);
  lines.push(
    checkpoints.length === 0
      ? 'Not verified: without a checkpoint, truncation or a recomputed chain cannot be detected.'
      : `${count(proof.checkpoints, 'signed checkpoint')} of ${checkpoints.length} ${proof.checkpoints === 1 ? 'matches' : 'match'}${sealed === undefined ? '' : `; the last one covers all records up to ${sealed.sequence} (${sealed.time})`}.`,
  );
  if (unverifiable > 0)
    lines.push(
      `Not verified: ${count(unverifiable, 'record')} without HMAC of a known key. Decisions do not use ${unverifiable === 1 ? 'it' : 'them'}.`,
    );
  if (ok && !proof.covered && records > 0)
    lines.push('Not covered: a cut or recomputed chain would not be noticed after the last checkpoint.');
  if (unchecked > 0)
    lines.push(
      keys.size === 0
        ? `Not verified: ${count(unchecked, 'signature')}, because no key is known (--key).`
        : `${count(unchecked, 'checkpoint')} with an unknown signing key: if it is one of your keys, give it with --key.`,
    );
  if (accepted > 0)
    lines.push(`${count(accepted, 'checkpoint')} of missing records that a person has accepted.`);
  const beforeStart = Math.min(
    checkpoints.filter(({ sequence }) => sequence < from - 1).length,
    checkpoints.length - proof.checkpoints - unchecked - accepted,
  );
  if (beforeStart > 0)
    lines.push(`${count(beforeStart, 'checkpoint')} of records before ${from}, which are not included.`);
  if (from > 1)
    lines.push(
      `The log begins at record ${from}. Its link to record ${from - 1} is ${cutProved ? 'proved by a checkpoint' : 'not proved'}.`,
    );
  if (ok && sealed !== undefined && sealed.sequence < last)
    lines.push(
      `Not verified: ${last === sealed.sequence + 1 ? `record ${last} is` : `records ${sealed.sequence + 1} to ${last} are`} newer than that checkpoint. An edit of ${last === sealed.sequence + 1 ? 'it' : 'them'} that recomputes the chain cannot be detected.`,
    );
  return lines.join('\n');
}
