import type { components } from './api-types.ts';

// Short names for the types of the API.

type Schemas = components['schemas'];

export type AuditRecord = Schemas['Record'];
export type RecordDetail = Schemas['RecordDetail'];
export type RecordList = Schemas['RecordList'];
export type TracedVersion = NonNullable<RecordList['versions']>[number];
export type Actor = AuditRecord['actor'];
export type FieldChange = NonNullable<AuditRecord['changes']>[number];
export type Target = Schemas['Target'];
export type Mapping = Schemas['Mapping'];
export type Held = Schemas['Held'];
export type Approval = Schemas['Approval'];
export type Status = Schemas['Status'];
export type Store = Schemas['Store'];
export type Intake = Schemas['Intake'];
export type SyncAnswer = Schemas['SyncAnswer'];
export type Verification = Schemas['Verification'];
export type Damage = NonNullable<Verification['problem']>;
export type Session = Schemas['Session'];

export type Change = Schemas['Change'];
export type ChangeDetail = Schemas['ChangeDetail'];
export type ChangeList = Schemas['ChangeList'];
export type ReviewQueue = Schemas['ReviewQueue'];
export type ReviewCause = ReviewQueue['causes'][number];
export type Timeline = Schemas['Timeline'];
export type Present = NonNullable<Timeline['now']>;
export type Reach = Schemas['Reach'];
export type ReachedTarget = Reach['now'][number];
export type SearchResult = Schemas['SearchResults']['results'][number];
export type Series = Schemas['Series'];
export type Picture = Schemas['Picture'];
export type SourceList = Schemas['SourceList'];
export type Graph = Schemas['Graph'];
export type GraphNode = Graph['nodes'][number];
