import { setTimeout as sleep } from 'node:timers/promises';
import { createSerialExecutor } from '../../src/core/serial-executor.ts';
import { kubernetes } from '../integration/services/inject.ts';
import type { Apply } from './apply-times.ts';
import { type Game, type LabelKind, PRIVATE, PROPERTIES, STORES, type Team } from './game.ts';
import { apply, type Draft, type GameMap, relabel, remove, textOf, write } from './maps.ts';
import type { ModelSource } from './model.ts';

/** What the game has done. */
export interface Played {
  /** How often each action was done. */
  readonly counts: Map<string, number>;
  readonly applies: Apply[];
  /** How many held deletions the operator released. */
  released: number;
}

/** Creates ConfigMaps, changes, breaks, corrects and removes them, and disturbs their Secrets and keys. */
export class Player {
  readonly played: Played = { counts: new Map(), applies: [], released: 0 };
  readonly #game: Game;
  readonly #random: () => number;
  readonly #maps: GameMap[] = [];
  readonly #removedKeys = new Set<Team>();
  #number = 0;
  /** Runs releases and kills one at a time. A kill during a release would leave open whether it was done. */
  readonly inTurn = createSerialExecutor();

  constructor(game: Game, random: () => number) {
    this.#game = game;
    this.#random = random;
  }

  /** Creates the first ConfigMaps. */
  async begin(): Promise<void> {
    const { teams, options } = this.#game;
    const maps = Array.from({ length: options.maps }, (_, n) => this.#addMap(teams[n % teams.length]));
    const creating = maps.map((map) => async () => apply(this.#game, map, [this.#draft(map)], []));
    const workers = Array.from({ length: 8 }, async () => {
      for (let next = creating.pop(); next !== undefined; next = creating.pop()) await next();
    });
    await Promise.all(workers);
  }

  /** Plays until the end, with the speed of the options. */
  async play(endsAt: number): Promise<void> {
    const actions: Promise<void>[] = [];
    const ended = new AbortController();
    const stop = () => ended.abort();
    while (Date.now() < endsAt && !ended.signal.aborted) {
      const action = this.#act();
      // A failed action ends the game. The last line reports the failure.
      action.catch(stop);
      actions.push(action);
      await sleep(1_000 / this.#game.options.actionsPerSecond);
    }
    await Promise.all(actions);
  }

  readonly #actions: readonly (readonly [name: string, weight: number, run: () => Promise<boolean>])[] = [
    ['a new ConfigMap', 3, () => this.#new()],
    ['change a mapping', 5, () => this.#with(['fine'], (map) => this.#apply(map, this.#changed(map)))],
    ['break', 3, () => this.#with(['fine'], (map) => this.#break(map))],
    ['a second ConfigMap for a Secret', 0.7, () => this.#with(['fine'], (map) => this.#claim(map))],
    ['a key or Secret that is not allowed', 2, () => this.#with(['fine'], (map) => this.#refuse(map))],
    ['correct', 4, () => this.#with(['wrong'], (map) => this.#apply(map, [this.#draft(map)]))],
    ['remove the labels', 1, () => this.#with(['fine', 'wrong'], (map) => this.#unlabel(map))],
    ['restore the labels', 1.2, () => this.#with(['unselected'], (map) => this.#select(map))],
    ['delete', 2, () => this.#with(['fine', 'wrong', 'unselected'], (map) => remove(map))],
    ['rotate values', 4, () => this.#rotate()],
    ['remove a key from the store', 0.2, () => this.#removeKey()],
    ['restore a key in the store', 0.5, () => this.#restoreKey()],
    ['edit a Secret', 2, () => this.#with(['fine'], (map) => this.#edit(map))],
    ['release a deletion', 0.4, () => this.inTurn(() => this.#release())],
  ];

  async #act(): Promise<void> {
    const [name, , run] = this.#pickWeighted();
    if (await run()) this.played.counts.set(name, (this.played.counts.get(name) ?? 0) + 1);
  }

  #pickWeighted() {
    let rest = this.#random() * this.#actions.reduce((sum, [, weight]) => sum + weight, 0);
    const found = this.#actions.find(([, weight]) => {
      rest -= weight;
      return rest < 0;
    });
    return found ?? this.#pick(this.#actions);
  }

  /** Does something with a random ConfigMap in one of these conditions. */
  async #with(
    conditions: readonly GameMap['condition'][],
    work: (map: GameMap) => Promise<void>,
  ): Promise<boolean> {
    const free = this.#maps.filter(({ isBusy, condition }) => !isBusy && conditions.includes(condition));
    if (free.length === 0) return false;
    const map = this.#pick(free);
    map.isBusy = true;
    try {
      await work(map);
      return true;
    } finally {
      map.isBusy = false;
    }
  }

  #addMap(team: Team | undefined, name = `m-${this.#next()}`): GameMap {
    const owner = team ?? this.#pick(this.#game.teams);
    const map: GameMap = {
      team: owner,
      name,
      drafts: [],
      label: this.#selectedLabel(owner),
      condition: 'absent',
      isBusy: false,
      isMeasured: true,
      lastApply: undefined,
      edits: 0,
    };
    this.#maps.push(map);
    return map;
  }

  #selectedLabel({ short }: Team): LabelKind {
    return short.startsWith('a-') ? 'plain' : this.#pick(['plain', 'gold', 'silver', 'both'] as const);
  }

  async #new(): Promise<boolean> {
    const present = this.#maps.filter(({ condition }) => condition !== 'absent').length;
    if (present > this.#game.options.maps * 1.2) return false;
    const isOld = this.#random() < 0.5;
    if (isOld) return this.#with(['absent'], (map) => this.#select(map));
    const map = this.#addMap(undefined);
    map.isBusy = true;
    await this.#apply(map, [this.#draft(map)]);
    map.isBusy = false;
    return true;
  }

  #apply(map: GameMap, drafts: readonly Draft[]): Promise<void> {
    return apply(this.#game, map, drafts, this.played.applies);
  }

  /** Returns a mapping without a mistake. Its first key is new. */
  #draft(map: GameMap): Draft {
    const name = map.drafts[0]?.name ?? `app-${this.#next()}`;
    const sources = { [`NEW_${this.#next()}`]: this.#source(map), FIXED: this.#source(map) };
    const flip = { store: 'vault', key: this.#game.keyOf(map.team, 'flip'), property: 'a' };
    return {
      name,
      sources: this.#random() < 0.15 ? { ...sources, FLIP: flip } : sources,
      onMappingRemoved: this.#pick(['keep', 'delete'] as const),
    };
  }

  #source({ team, label }: GameMap): ModelSource {
    const store = label === 'gold' || label === 'silver' ? this.#pick(STORES) : 'vault';
    const key = this.#game.keyOf(team, this.#pick(['db', 'api'] as const));
    return { store, key, property: this.#pick(PROPERTIES) };
  }

  #changed(map: GameMap): readonly Draft[] {
    const draft = this.#draft(map);
    const chance = this.#random();
    // Another Secret: the old one ends.
    if (chance < 0.1) return [{ ...draft, secret: `${draft.name}-r${this.#next()}` }];
    if (chance < 0.3) return [draft, { ...this.#draft(map), name: `${draft.name}-too` }];
    return [draft];
  }

  async #break(map: GameMap): Promise<void> {
    const draft = this.#draft(map);
    const text = textOf([draft]);
    const foreign = this.#pick(this.#game.teams).namespace;
    const ways: readonly Parameters<typeof write>[2][] = [
      { data: { 'mappings.yaml': `${text}  - [ not closed` } },
      { data: { 'mappings.yaml': text.replace('name:', 'nam:') } },
      { data: { 'mappings.yaml': `stores: []\n${text}` } },
      { data: { 'mappings.yaml': textOf([{ ...draft, namespace: foreign }]) } },
      { data: { 'mappings.yaml': text, 'more.yaml': text } },
      { data: { 'mapping.yaml': text } },
      { binaryData: { 'mappings.yaml': Buffer.from(text).toString('base64') } },
      { data: { 'mappings.yaml': text }, binaryData: { more: 'AAAA' } },
    ];
    map.condition = 'wrong';
    await write(this.#game, map, this.#pick(ways));
  }

  /** Creates a ConfigMap that wants the Secret or the name of another one. */
  async #claim(other: GameMap): Promise<void> {
    // From now on, either of the two may have the Secret.
    other.isMeasured = false;
    const [taken] = other.drafts;
    const name = `${this.#pick(['c', 'z'] as const)}-${this.#next()}`;
    const map = this.#addMap(other.team, name);
    map.isBusy = true;
    const draft = this.#draft(map);
    const secret = taken?.secret ?? taken?.name ?? draft.name;
    map.condition = 'wrong';
    map.drafts = [draft];
    const claiming =
      this.#random() < 0.7 ? { ...draft, secret } : { ...draft, name: taken?.name ?? draft.name };
    await write(this.#game, map, { data: { 'mappings.yaml': textOf([claiming]) } });
    map.isBusy = false;
  }

  async #refuse(map: GameMap): Promise<void> {
    const { teams, keyOf } = this.#game;
    const draft = this.#draft(map);
    const other = this.#pick(teams.filter((team) => team !== map.team));
    const own = this.#source(map);
    const wrong = (source: ModelSource): Draft => ({
      ...draft,
      sources: { ...draft.sources, WRONG: source },
    });
    const isPlain = map.label === 'plain' || map.label === 'both';
    const ways = [
      wrong({ ...own, key: keyOf(other, 'vip') }),
      wrong({ ...own, key: `${keyOf(map.team, 'db')}/../../${other.namespace}/vip` }),
      ...(isPlain ? [wrong({ ...own, store: 'second' })] : []),
      wrong({ ...own, key: keyOf(map.team, `none-${this.#next()}`) }),
      wrong({ ...own, property: 'none' }),
      { ...draft, secret: PRIVATE },
    ];
    map.condition = 'wrong';
    await write(this.#game, map, { data: { 'mappings.yaml': textOf([this.#pick(ways)]) } });
  }

  async #unlabel(map: GameMap): Promise<void> {
    map.condition = 'unselected';
    const kinds = [
      'none',
      'other',
      ...(map.team.short.startsWith('b-') ? (['bronze', 'off'] as const) : []),
    ] as const;
    await relabel(this.#game, map, this.#pick(kinds));
  }

  /** Writes the ConfigMap with labels that select it. Other labels may allow other stores, so the mapping is new too. */
  async #select(map: GameMap): Promise<void> {
    map.label = this.#selectedLabel(map.team);
    await this.#apply(map, [this.#draft(map)]);
  }

  async #rotate(): Promise<boolean> {
    const team = this.#pick(this.#game.teams);
    await this.#game.put(team, this.#pick(['db', 'api'] as const));
    return true;
  }

  async #removeKey(): Promise<boolean> {
    const team = this.#pick(this.#game.teams);
    if (this.#removedKeys.has(team)) return false;
    this.#removedKeys.add(team);
    await this.#game.removeKey(team, 'flip');
    return true;
  }

  async #restoreKey(): Promise<boolean> {
    const [team] = this.#removedKeys;
    if (team === undefined) return false;
    this.#removedKeys.delete(team);
    await this.#game.put(team, 'flip');
    return true;
  }

  /** Edits or deletes the Secret of a ConfigMap, if it exists. */
  async #edit(map: GameMap): Promise<void> {
    const [draft] = map.drafts;
    // Repeated edits of one Secret count as a contest, which is not part of this game.
    if (draft === undefined || map.edits >= 2) return;
    map.edits += 1;
    const { namespace } = map.team;
    const path = `/api/v1/namespaces/${namespace}/secrets/${draft.secret ?? draft.name}`;
    const value = `${this.#game.marker.core.toString()}.${namespace}.hand.${this.#next()}`;
    const { request } = kubernetes();
    const headers = { 'content-type': 'application/merge-patch+json' };
    const patch = (key: string) => request('PATCH', path, { stringData: { [key]: value } }, headers);
    const edits = [() => patch('FIXED'), () => patch('BY_HAND'), () => request('DELETE', path)];
    const { status } = await this.#pick(edits)();
    if (status !== 200 && status !== 404) throw new Error(`an edit of a Secret gave ${status}`);
  }

  async #release(): Promise<boolean> {
    const { served } = this.#game;
    if (served === undefined) return false;
    const { held } = await served.status();
    if (held.length === 0) return false;
    const { status, text } = await served.send('POST', `/api/v1/held/${this.#pick(held).id}/release`);
    // The change may not be held any more.
    if (status !== 200 || (JSON.parse(text) as { ok: boolean }).ok !== true) return false;
    this.played.released += 1;
    return true;
  }

  #pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.#random() * items.length)];
    if (item === undefined) throw new Error('nothing to choose from');
    return item;
  }

  #next(): number {
    this.#number += 1;
    return this.#number;
  }
}
