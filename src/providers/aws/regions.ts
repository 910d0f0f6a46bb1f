import { nearest } from '../../core/nearest.ts';

/**
 * The regions known today, for messages only. A region that is missing here works all the same.
 * https://docs.aws.amazon.com/general/latest/gr/asm.html
 */
const REGIONS: readonly string[] = [
  ...['af-south-1', 'ap-east-1', 'ap-east-2', 'ap-northeast-1', 'ap-northeast-2', 'ap-northeast-3'],
  ...['ap-south-1', 'ap-south-2', 'ap-southeast-1', 'ap-southeast-2', 'ap-southeast-3', 'ap-southeast-4'],
  ...['ap-southeast-5', 'ap-southeast-6', 'ap-southeast-7', 'ca-central-1', 'ca-west-1', 'cn-north-1'],
  ...['cn-northwest-1', 'eu-central-1', 'eu-central-2', 'eu-north-1', 'eu-south-1', 'eu-south-2'],
  ...['eu-west-1', 'eu-west-2', 'eu-west-3', 'il-central-1', 'me-central-1', 'me-south-1'],
  ...['mx-central-1', 'sa-east-1', 'us-east-1', 'us-east-2', 'us-gov-east-1', 'us-gov-west-1'],
  ...['us-west-1', 'us-west-2'],
];

/**
 * Asks about the setting that an unknown host name comes from: the region, or the endpoint if there is one. The name of
 * the endpoint is not repeated.
 */
export function hostQuestion({
  region,
  endpoint,
}: {
  region: string;
  endpoint?: string | undefined;
}): string {
  if (endpoint !== undefined) return 'is `endpoint` right?';
  return unknownRegion(region) ?? `is the region \`${region}\` right, and can this host reach AWS?`;
}

/** Returns a sentence about a region that is not known here. Returns undefined for a known region. */
export function unknownRegion(region: string): string | undefined {
  if (REGIONS.includes(region)) return undefined;
  const near = nearest(region, REGIONS);
  const meant = near === undefined ? 'is it right?' : `did you mean \`${near}\`?`;
  return `AWS has no region \`${region}\` that we know; ${meant}`;
}
