export interface GameOptions {
  readonly minutes: number;
  readonly teams: number;
  /** The number of ConfigMaps at the start. */
  readonly maps: number;
  readonly seed: number;
  readonly actionsPerSecond: number;
  /** The `refresh` of all mappings. */
  readonly refresh: string;
  /** `brake.share` */
  readonly share: number;
  /** How long outages last, and the time between two of them. */
  readonly outages: {
    readonly storeSeconds: Range;
    readonly storePauseSeconds: Range;
    readonly killPauseSeconds: Range;
  };
  /** The longest time until everything agrees after the last fault. */
  readonly settleMs: number;
  /** The upper bound of the 95th percentile from an apply to its Secret. */
  readonly applyMs: number;
  readonly report: (line: string) => void;
}

export type Range = readonly [least: number, most: number];

type Size = Omit<GameOptions, 'seed' | 'report'>;

/** For `npm test`. */
export const SMALL: Size = {
  minutes: 1,
  teams: 20,
  maps: 200,
  actionsPerSecond: 5,
  refresh: '3s',
  share: 0.03,
  outages: { storeSeconds: [2, 5], storePauseSeconds: [6, 12], killPauseSeconds: [20, 30] },
  settleMs: 300_000,
  // The machine may be busy with other tests, so this only finds what is wrong by far.
  applyMs: 20_000,
};

/** For `npm run test:long`. */
export const FULL: Size = {
  minutes: 20,
  teams: 100,
  maps: 1_000,
  actionsPerSecond: 4,
  refresh: '15s',
  share: 0.1,
  outages: { storeSeconds: [5, 30], storePauseSeconds: [40, 90], killPauseSeconds: [60, 150] },
  settleMs: 600_000,
  applyMs: 2_000,
};
