// Generated from the OpenAPI document by `npm run docs`. Change the routes of src/http instead.
export interface paths {
    "/livez": {
        parameters: {
            query?: never;
        };
        /** Whether every loop makes progress. Outages of dependencies do not affect the answer. The instance lets commands find their own service. */
        get: operations["livez"];
        post?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
        };
        /** Whether the configuration is loaded and the audit is writable. */
        get: operations["readyz"];
        post?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
        };
        /** Metrics in the Prometheus text format. Requires a token only with `http.metricsNeedToken`. */
        get: operations["metrics"];
        post?: never;
    };
    "/api/v1/status": {
        parameters: {
            query?: never;
        };
        /**
         * What `secretbridge status` prints: engine, audit, cluster, stores, targets and held changes.
         * @description Requires the role viewer.
         */
        get: operations["status"];
        post?: never;
    };
    "/api/openapi.json": {
        parameters: {
            query?: never;
        };
        /**
         * This API description, as OpenAPI 3.1.
         * @description Requires the role viewer.
         */
        get: operations["openapi"];
        post?: never;
    };
    "/api/v1/mappings": {
        parameters: {
            query?: never;
        };
        /**
         * List the mappings by name, each with its sources and targets.
         * @description Requires the role viewer.
         */
        get: operations["listMappings"];
        post?: never;
    };
    "/api/v1/mappings/{name}": {
        parameters: {
            query?: never;
        };
        /**
         * Get one mapping.
         * @description Requires the role viewer.
         */
        get: operations["getMapping"];
        post?: never;
    };
    "/api/v1/mappings/{name}/sync": {
        parameters: {
            query?: never;
        };
        get?: never;
        /**
         * Sync the targets of a mapping now. Targets that do not finish in time are counted as `pending` and continue.
         * @description Requires the role operator.
         */
        post: operations["syncMapping"];
    };
    "/api/v1/mappings/{name}/rollback": {
        parameters: {
            query?: never;
        };
        get?: never;
        /**
         * Roll back the targets of a mapping to the source versions of a record, and pin them there until `unpin`. If a version is no longer available, its target does not change.
         * @description Requires the role operator.
         */
        post: operations["rollBackMapping"];
    };
    "/api/v1/mappings/{name}/unpin": {
        parameters: {
            query?: never;
        };
        get?: never;
        /**
         * Unpin the targets of a mapping, so that they follow their sources again.
         * @description Requires the role operator.
         */
        post: operations["unpinMapping"];
    };
    "/api/v1/held": {
        parameters: {
            query?: never;
        };
        /**
         * List the changes that await a decision, by namespace and name.
         * @description Requires the role viewer.
         */
        get: operations["listHeld"];
        post?: never;
    };
    "/api/v1/held/{id}/release": {
        parameters: {
            query?: never;
        };
        get?: never;
        /**
         * Release a held change. The audit records who released it.
         * @description Requires the role operator.
         */
        post: operations["release"];
    };
    "/api/v1/held/release": {
        parameters: {
            query?: never;
        };
        get?: never;
        /**
         * Release several held changes, one after the other. The answer has a result for each.
         * @description Requires the role operator.
         */
        post: operations["releaseMany"];
    };
    "/api/v1/prune": {
        parameters: {
            query?: never;
        };
        /**
         * List the targets that no mapping wants any more, as `secretbridge prune` does.
         * @description Requires the role viewer.
         */
        get: operations["listLeft"];
        /**
         * Delete the targets that no mapping wants. `brake` limits the deletions. The audit records who sent the request.
         * @description Requires the role operator.
         */
        post: operations["prune"];
    };
    "/api/v1/plan": {
        parameters: {
            query?: never;
        };
        /**
         * Show what a run of the targets of a namespace would change now, without deletions of targets that no mapping wants. The service makes one plan at a time, and answers requests within 15 seconds with the same plan.
         * @description Requires the role viewer.
         */
        get: operations["planNamespace"];
        post?: never;
    };
    "/api/v1/approvals": {
        parameters: {
            query?: never;
        };
        /**
         * List the requests for approval, by namespace and name.
         * @description Requires the role viewer.
         */
        get: operations["listApprovals"];
        post?: never;
    };
    "/api/v1/approvals/{id}/approve": {
        parameters: {
            query?: never;
        };
        get?: never;
        /**
         * Approve a request and carry out its action. `approvals` in the configuration says who may approve. The person who asked may not.
         * @description Requires the role viewer.
         */
        post: operations["approve"];
    };
    "/api/v1/approvals/{id}/reject": {
        parameters: {
            query?: never;
        };
        get?: never;
        /**
         * Reject a request. The person who asked may withdraw it in this way.
         * @description Requires the role viewer.
         */
        post: operations["reject"];
    };
    "/api/v1/audit/records": {
        parameters: {
            query?: never;
        };
        /**
         * List audit records, newest first. Filters combine with AND.
         * @description Requires the role viewer.
         */
        get: operations["listRecords"];
        post?: never;
    };
    "/api/v1/audit/records/{sequence}": {
        parameters: {
            query?: never;
        };
        /**
         * One record with its intent or outcome, its review and its place in the chain.
         * @description Requires the role viewer.
         */
        get: operations["getRecord"];
        post?: never;
    };
    "/api/v1/audit/verify": {
        parameters: {
            query?: never;
        };
        /**
         * Verify the whole hash chain. Reads every record. Requires access to all namespaces.
         * @description Requires the role viewer.
         */
        get: operations["verify"];
        post?: never;
    };
    "/api/v1/review": {
        parameters: {
            query?: never;
        };
        /**
         * What a person should look at, grouped by cause: changes that failed, were refused or held, deletions, adoptions and rollbacks without a review, requests for approval, and flagged records.
         * @description Requires the role viewer.
         */
        get: operations["listReview"];
        /**
         * Review records, all or none. Each review is recorded in the audit.
         * @description Requires the role reviewer.
         */
        post: operations["reviewMany"];
    };
    "/api/v1/audit/records/{sequence}/review": {
        parameters: {
            query?: never;
        };
        get?: never;
        /**
         * Review a record. The review is recorded in the audit.
         * @description Requires the role reviewer.
         */
        post: operations["review"];
    };
    "/api/v1/audit/export": {
        parameters: {
            query?: never;
        };
        /**
         * Stream records, oldest first: `jsonl` as the chain holds them, `csv` as a table, `ocsf` as events. The export itself is recorded in the audit.
         * @description Requires the role viewer.
         */
        get: operations["exportRecords"];
        post?: never;
    };
    "/api/v1/timeline": {
        parameters: {
            query?: never;
        };
        /**
         * The changes of one subject, newest first, with its present state: a Secret (`namespace` and `secret`), a `mapping`, a source (`store`, `key`, `version`) or a person (`actor`).
         * @description Requires the role viewer.
         */
        get: operations["timeline"];
        post?: never;
    };
    "/api/v1/reach": {
        parameters: {
            query?: never;
        };
        /**
         * The Secrets that hold a version of a source now, that held it, and that hold another version. Without `version`: the version that was read last.
         * @description Requires the role viewer.
         */
        get: operations["reach"];
        post?: never;
    };
    "/api/v1/search": {
        parameters: {
            query?: never;
        };
        /**
         * Find mappings, Secrets, stores, keys, people and notes that contain a text.
         * @description Requires the role viewer.
         */
        get: operations["search"];
        post?: never;
    };
    "/api/v1/series": {
        parameters: {
            query?: never;
        };
        /**
         * How many changes, failures, refusals and holds there were over time, in at most 400 steps of whole hours. Default: the last 30 days.
         * @description Requires the role viewer.
         */
        get: operations["series"];
        post?: never;
    };
    "/api/v1/picture": {
        parameters: {
            query?: never;
        };
        /**
         * The present state in numbers: the age of the secrets of each store, stale targets, and the calls of each store against the expectation.
         * @description Requires the role viewer.
         */
        get: operations["picture"];
        post?: never;
    };
    "/api/v1/sources": {
        parameters: {
            query?: never;
        };
        /**
         * The sources that mappings use, by the age of their present version, oldest first.
         * @description Requires the role viewer.
         */
        get: operations["listSources"];
        post?: never;
    };
    "/api/v1/graph": {
        parameters: {
            query?: never;
        };
        /**
         * Stores, mappings, Secrets and workloads with their states, and the edges between them. Without a filter, those in the worst state come first.
         * @description Requires the role viewer.
         */
        get: operations["graph"];
        post?: never;
    };
    "/api/v1/stream": {
        parameters: {
            query?: never;
        };
        /**
         * Server-sent events: `change` with `{ "head": sequence }` when there are new records, and `state` when a target or a held change has another state. Ends with the session. After a reconnection, ask for everything again.
         * @description Requires the role viewer.
         */
        get: operations["stream"];
        post?: never;
    };
    "/api/v1/changes": {
        parameters: {
            query?: never;
        };
        /**
         * List changes, newest first. One change has an intent, an outcome, the reads of its sources and its restarts. Equal facts that follow each other are one change with a count.
         * @description Requires the role viewer.
         */
        get: operations["listChanges"];
        post?: never;
    };
    "/api/v1/changes/{sequence}": {
        parameters: {
            query?: never;
        };
        /**
         * The change to which a record belongs, with this record.
         * @description Requires the role viewer.
         */
        get: operations["getChange"];
        post?: never;
    };
    "/events/webhook/{name}": {
        parameters: {
            query?: never;
        };
        get?: never;
        /** Report that a key may have changed in a store. The request is signed. */
        post: operations["postWebhook"];
    };
    "/events/azure/{name}": {
        parameters: {
            query?: never;
        };
        get?: never;
        /** Receive Azure Key Vault events, in the Event Grid schema or as CloudEvents 1.0. */
        post: operations["postEventGrid"];
        /** Answer the CloudEvents validation handshake. */
        options: operations["validateEventGrid"];
    };
    "/auth/methods": {
        parameters: {
            query?: never;
        };
        /** The ways to sign in to the review page. */
        get: operations["signInMethods"];
        post?: never;
    };
    "/auth/login": {
        parameters: {
            query?: never;
        };
        /** Sends the browser to the OIDC provider. */
        get: operations["login"];
        post?: never;
    };
    "/auth/callback": {
        parameters: {
            query?: never;
        };
        /** Ends a sign-in: sets the session cookie, and sends the browser to the review page. */
        get: operations["callback"];
        post?: never;
    };
    "/auth/device": {
        parameters: {
            query?: never;
        };
        get?: never;
        /** Starts a sign-in of the command line, which the person confirms in any browser. */
        post: operations["deviceLogin"];
    };
    "/auth/token": {
        parameters: {
            query?: never;
        };
        get?: never;
        /** Returns the token of a confirmed sign-in (`deviceCode`), or a new token (`renewal`). */
        post: operations["deviceToken"];
    };
    "/auth/logout": {
        parameters: {
            query?: never;
        };
        get?: never;
        /** Ends the session of the cookie, or of the token of `secretbridge login`, in all replicas. */
        post: operations["logout"];
    };
    "/api/v1/session": {
        parameters: {
            query?: never;
        };
        /**
         * The owner of the token, and the highest role of the owner. `namespaces` has globs, and is absent for people with access to all namespaces.
         * @description Requires the role viewer.
         */
        get: operations["session"];
        post?: never;
    };
}
export interface components {
    schemas: {
        Error: {
            code: string;
            message: string;
            remedy: string;
            /** @description With `APPROVAL_NEEDED`: the ids of the requests for approval. */
            requests?: string[];
            requestId: string;
        };
        Liveness: {
            ok: boolean;
            stalled: string[];
            instance?: string;
        };
        Readiness: {
            ok: boolean;
        };
        /** @enum {string} */
        Health: "up" | "degraded" | "down";
        /** @enum {string} */
        SyncState: "failed" | "refused" | "held" | "contested" | "drifted" | "stale" | "waiting" | "pinned" | "synced";
        Key: {
            name: string;
            /** @enum {string} */
            action: "add" | "change" | "remove" | "keep";
            /** @description A keyed fingerprint. */
            before?: string;
            /** @description A keyed fingerprint. */
            after?: string;
        };
        Held: {
            id: string;
            mapping: string;
            namespace: string;
            secret: string;
            action: string;
            keys: components["schemas"]["Key"][];
            reason?: string;
            /** Format: date-time */
            since?: string;
        };
        HeldList: {
            held: components["schemas"]["Held"][];
            next?: string;
        };
        Approval: {
            id: string;
            /** @description The sequence of the request's record. */
            sequence: number;
            /** @enum {string} */
            action: "release" | "rollback" | "unpin" | "adopt" | "prune";
            /** @description The action as a command. */
            command: string;
            mapping: string;
            namespace: string;
            secret: string;
            keys: components["schemas"]["KeyNames"];
            /** @enum {string} */
            state: "pending" | "approved" | "rejected" | "done" | "expired";
            requestedBy: string;
            /** Format: date-time */
            requestedAt: string;
            /**
             * Format: date-time
             * @description The request is open until this time.
             */
            until: string;
            requestId: string;
            decidedBy?: string;
            /** Format: date-time */
            decidedAt?: string;
        };
        ApprovalList: {
            approvals: components["schemas"]["Approval"][];
            next?: string;
        };
        Target: {
            mapping: string;
            namespace: string;
            secret: string;
            state: components["schemas"]["SyncState"];
            /** Format: date-time */
            lastSuccess: string | null;
            staleSeconds: number | null;
            code?: string;
            message?: string;
            remedy?: string;
            /** @description The sequence of the record whose source versions the target is pinned to. */
            pinned?: number;
            /**
             * Format: date-time
             * @description When the first source or certificate of the target expires.
             */
            expiresAt?: string;
        };
        Store: {
            name: string;
            kind: string;
            state: components["schemas"]["Health"];
            /** Format: date-time */
            lastSuccess: string | null;
            code?: string;
            breakerOpen: boolean;
            /** @description How the store is checked for changes: list, describe, batch or read. */
            way?: string;
            /** @description Requests of this replica within the last hour. */
            callsPerHour?: number;
            /** @description Requests an hour of all replicas while nothing changes. */
            expectedCallsPerHour?: number;
        };
        Intake: {
            /** @enum {string} */
            kind: "sqs" | "eventGrid" | "vault" | "webhook";
            name: string;
            state: components["schemas"]["Health"];
            /** Format: date-time */
            lastEvent?: string;
            code?: string;
        };
        Channel: {
            name: string;
            kind: string;
            state: components["schemas"]["Health"];
            /** Format: date-time */
            lastSuccess?: string;
            code?: string;
        };
        Warning: {
            code: string;
            mapping?: string;
            namespace?: string;
            secret?: string;
            message: string;
        };
        Problem: {
            file: string;
            line: number;
            column: number;
            path: string;
            code: string;
            message: string;
            suggestion?: string;
        };
        Include: {
            path: string;
            namespaces: string[];
            /** @enum {string} */
            state: "valid" | "disabled" | "outdated";
            problems: components["schemas"]["Problem"][];
        };
        Status: {
            instance: string;
            version: string;
            replica: string;
            engine: {
                kind: string;
                state: components["schemas"]["Health"];
                code?: string;
            };
            audit: {
                kind: string;
                state: components["schemas"]["Health"];
                sequence: number;
                code?: string;
                unverifiable?: number;
            };
            warnings: components["schemas"]["Warning"][];
            cluster: {
                kind: string;
                state: components["schemas"]["Health"];
                code?: string;
            };
            config: {
                valid: boolean;
                problems: components["schemas"]["Problem"][];
                /** @description Replicas with another configuration. Deletions of removed targets wait until they agree. */
                differing: string[];
            };
            includes: components["schemas"]["Include"][];
            stores: components["schemas"]["Store"][];
            events: components["schemas"]["Intake"][];
            /** @description The channels of notifications. Absent if there are none. */
            notify?: components["schemas"]["Channel"][];
            targets: components["schemas"]["Target"][];
            held: components["schemas"]["Held"][];
        };
        Search: {
            store: string;
            path: string;
            name?: string;
        };
        Mapping: {
            mapping: string;
            /** @description Absent if the file of the mapping is disabled. */
            refreshSeconds?: number;
            sources: {
                store: string;
                key: string;
            }[];
            /** @description The searches of the mapping. An empty path searches the whole store. */
            searches: components["schemas"]["Search"][];
            /** @description The workloads that the mapping restarts. */
            workloads?: string[];
            targets: components["schemas"]["Target"][];
        };
        MappingList: {
            mappings: components["schemas"]["Mapping"][];
            next?: string;
        };
        Session: {
            name: string;
            /** @enum {string} */
            role: "viewer" | "reviewer" | "operator";
            namespaces?: string[];
            /**
             * Format: date-time
             * @description When a session ends that is not used any more. Absent for tokens.
             */
            endsAt?: string;
        };
        SignInMethods: {
            /** @description Whether `/auth/login` signs people in. */
            oidc: boolean;
            /** @description Whether the browser has sent the cookie of a session. */
            session: boolean;
        };
        DeviceSignIn: {
            /** @description For `/auth/token`. Do not show it to anybody. */
            deviceCode: string;
            /** @description What the person enters at the provider. */
            userCode: string;
            /** @description Where the person enters the code. */
            verificationUri: string;
            /** @description The same address with the code. */
            verificationUriComplete?: string;
            expiresInSeconds: number;
            /** @description How long to wait between two requests for the token. */
            intervalSeconds: number;
        };
        DevicePending: {
            pending: boolean;
            /** @description Whether to wait 5 seconds longer from now on. */
            slowDown: boolean;
        };
        DeviceToken: {
            name: string;
            /** @description The bearer token of the person. */
            token: string;
            /** @description For `/auth/token`, to get a new token before this one ends. */
            renewal: string;
            /**
             * Format: date-time
             * @description The first use after this time should get a new token. Otherwise, the session ends while it is used.
             */
            renewAfter: string;
            /**
             * Format: date-time
             * @description When the session ends if it is not renewed.
             */
            endsAt: string;
        };
        /** @enum {string} */
        Action: "read" | "create" | "update" | "delete" | "repair" | "adopt" | "refuse" | "hold" | "release" | "restart" | "giveUp" | "sweep" | "configure" | "command" | "export" | "review" | "rollback" | "unpin" | "request" | "approve" | "reject" | "warn" | "notify";
        /** @enum {string} */
        Outcome: "ok" | "failed" | "refused" | "held";
        /** @enum {string} */
        ReviewState: "unreviewed" | "reviewed" | "flagged";
        Actor: {
            /** @enum {string} */
            kind: "schedule" | "event" | "drift" | "startup" | "operator" | "cli";
            name?: string;
            subject?: string;
            aliases?: string[];
            address?: string;
        };
        FieldChange: {
            path: string;
            before?: string;
            after?: string;
        };
        KeyNames: {
            added: string[];
            changed: string[];
            removed: string[];
        };
        SourceVersion: {
            store: string;
            key: string;
            property?: string;
            version: string;
        };
        Review: {
            state: components["schemas"]["ReviewState"];
            by?: string;
            /** Format: date-time */
            time: string;
            note?: string;
            /** @description The day on which somebody looks at the record again. */
            followUp?: string;
            /** @description The sequence of the review record. */
            sequence: number;
        };
        Record: {
            sequence: number;
            /** Format: date-time */
            time: string;
            action: components["schemas"]["Action"];
            /** @enum {string} */
            phase?: "intent" | "outcome";
            outcome: components["schemas"]["Outcome"];
            code?: string;
            mapping?: string;
            namespace?: string;
            secret?: string;
            store?: string;
            key?: string;
            actor: components["schemas"]["Actor"];
            note?: string;
            review?: {
                sequence: number;
                state: components["schemas"]["ReviewState"];
                followUp?: string;
            };
            reviewed?: components["schemas"]["Review"];
            keys: components["schemas"]["KeyNames"];
            sources: components["schemas"]["SourceVersion"][];
            /** @description For a change: the keyed fingerprint of each new value, by target key. */
            values?: {
                [key: string]: string;
            };
            counts?: {
                [key: string]: number;
            };
            /** @description For a `request`: what waits for approval. */
            requested?: {
                /** @enum {string} */
                action: "release" | "rollback" | "unpin" | "adopt" | "prune";
                argument: string;
                /** Format: date-time */
                until: string;
            };
            /** @description The sequence of the `request` that the record decides about, or that allowed the action. */
            approval?: number;
            count?: number;
            /** Format: date-time */
            since?: string;
            changes?: components["schemas"]["FieldChange"][];
            configHash?: string;
            revision?: string;
            before?: string;
            after?: string;
            resourceVersion?: string;
            requestId: string;
            attempt: number;
            durationMs: number;
            instance: string;
            replica: string;
            previousHash: string;
            hmac?: string;
            hash: string;
        };
        RecordDetail: components["schemas"]["Record"] & {
            counterpart?: components["schemas"]["Record"];
            chain: {
                previous?: number;
                next?: number;
                head: number;
                fits: boolean;
            };
        };
        TracedVersion: {
            store: string;
            key: string;
            version: string;
            fingerprint: string;
            /** Format: date-time */
            firstRead: string;
        };
        RecordList: {
            records: components["schemas"]["Record"][];
            next?: string;
            /** @description With `trace`: the source versions that have the fingerprint. */
            versions?: components["schemas"]["TracedVersion"][];
            /** @description With `trace`: there are more versions than were followed. */
            more?: boolean;
        };
        Damage: {
            /** @enum {string} */
            kind: "edited" | "deleted" | "inserted" | "reordered" | "truncated" | "checkpoint";
            sequence: number;
            /** @description For a checkpoint: the first bad record comes after this one. */
            after?: number;
            /** @description For a checkpoint: it matches the chain, but is signed by an unknown key. */
            unknownKey?: boolean;
        };
        Verification: {
            ok: boolean;
            records: number;
            checkpoints: number;
            /** @description Whether a checkpoint covers all but the newest records. */
            covered: boolean;
            problem?: components["schemas"]["Damage"];
            from: number;
            sealed?: {
                sequence: number;
                /** Format: date-time */
                time: string;
            };
            cutProved?: boolean;
            accepted: number;
            unchecked: number;
            unverifiable?: number;
        };
        Plan: {
            /** @description The number of targets that would change. */
            changes: number;
            targets: {
                mapping: string;
                namespace: string;
                secret: string;
                /** @enum {string} */
                action: "create" | "update" | "delete" | "unchanged" | "refuse" | "hold" | "fail";
                /** @enum {string} */
                how?: "adopt" | "recreate" | "merge";
                code?: string;
                message?: string;
                remedy?: string;
                keys: components["schemas"]["Key"][];
                /** @description The sequence of the record whose source versions the target is pinned to. */
                pinned?: number;
            }[];
        };
        LeftAnswer: {
            changes: number;
            targets: {
                mapping: string;
                namespace: string;
                secret: string;
                /** @enum {string} */
                action: "delete";
                keys: components["schemas"]["Key"][];
            }[];
            /** @description Always empty in a listing: only deletions can be held. */
            held: components["schemas"]["Held"][];
            /** @description Targets that are kept until their mapping has created the replacement. */
            waiting?: {
                mapping: string;
                namespace: string;
                secret: string;
                until: {
                    namespace: string;
                    secret: string;
                };
            }[];
            /** @description Targets or namespaces that could not be read, and may hold orphans. */
            unseen?: {
                what: string;
                code: string;
            }[];
        };
        Cause: {
            /** @enum {string} */
            kind: "schedule" | "event" | "drift" | "person" | "configuration" | "recovery" | "unknown";
            /** @description The record of the configuration change that caused this. */
            sequence?: number;
            revision?: string;
            changes?: components["schemas"]["FieldChange"][];
        };
        Participant: {
            /** @enum {string} */
            role: "requested" | "approved" | "rejected" | "released";
            name: string;
            /** Format: date-time */
            time: string;
            sequence: number;
        };
        KeyChange: {
            name: string;
            /** @enum {string} */
            change: "added" | "changed" | "removed" | "kept";
            /** @description A keyed fingerprint. */
            before?: string;
            /** @description A keyed fingerprint. */
            after?: string;
        };
        UsedVersion: components["schemas"]["SourceVersion"] & {
            /** @description The version that the previous write used, if it differs. */
            previousVersion?: string;
        };
        WorkloadRestart: {
            kind: string;
            name: string;
            /** @enum {string} */
            outcome: "ok" | "failed" | "refused" | "held" | "pending";
            code?: string;
        };
        Change: {
            /** @description The record that stands for the change: its outcome, or its intent if it has no outcome. */
            sequence: number;
            /** @description The sequences of all records of the change. */
            records: number[];
            /** Format: date-time */
            time: string;
            durationMs: number;
            action: components["schemas"]["Action"];
            /** @enum {string} */
            outcome: "ok" | "failed" | "refused" | "held" | "pending";
            code?: string;
            note?: string;
            actor: components["schemas"]["Actor"];
            requestId: string;
            cause: components["schemas"]["Cause"];
            /** @description The people who took part, besides the actor. */
            people?: components["schemas"]["Participant"][];
            mapping?: string;
            namespace?: string;
            secret?: string;
            store?: string;
            key?: string;
            keys: components["schemas"]["KeyChange"][];
            sources: components["schemas"]["UsedVersion"][];
            restarts: components["schemas"]["WorkloadRestart"][];
            counts?: {
                [key: string]: number;
            };
            /** @description For a change of the configuration. */
            configuration?: {
                hash?: string;
                revision?: string;
                changes: components["schemas"]["FieldChange"][];
            };
            /** @description How many equal facts the row stands for. */
            count: number;
            /**
             * Format: date-time
             * @description When the first of them happened.
             */
            since?: string;
            /** @description For a review: the record that was reviewed. */
            reviewOf?: number;
            review?: {
                state: components["schemas"]["ReviewState"];
                by?: string;
                /** Format: date-time */
                time: string;
                note?: string;
                followUp?: string;
            };
        };
        ChangeDetail: components["schemas"]["Change"] & {
            record: components["schemas"]["RecordDetail"];
        };
        ChangeList: {
            changes: components["schemas"]["Change"][];
            next?: string;
        };
        ReviewCause: {
            id: string;
            /** @enum {string} */
            kind: "held" | "approval" | "store" | "cluster" | "configuration" | "source" | "refusal" | "restart" | "deletion" | "adoption" | "rollback" | "sign-in" | "command" | "flagged";
            title: string;
            code?: string;
            store?: string;
            key?: string;
            mapping?: string;
            requestId?: string;
            /** @description How many changes have this cause. */
            count: number;
            /** Format: date-time */
            first: string;
            /** Format: date-time */
            last: string;
            /** @description The records to review, newest first, at most 200. */
            sequences: number[];
            namespaces: number;
            targets: number;
            /** @description The ids with which the changes can be released now. */
            held?: string[];
            /** @description For flagged records: the day of the follow-up. */
            followUp?: string;
            /** @description For flagged records: whether this day has come. */
            isDue?: boolean;
            example: components["schemas"]["Change"];
        };
        ReviewQueue: {
            causes: components["schemas"]["ReviewCause"][];
            next?: string;
            /** @description Whether older records were not read. */
            more: boolean;
        };
        Released: {
            results: {
                id: string;
                ok: boolean;
                code?: string;
                message?: string;
                remedy?: string;
            }[];
        };
        Reviewed: {
            /** @description The number of reviewed records. */
            reviewed: number;
        };
        Content: {
            sequence: number;
            /** Format: date-time */
            time: string;
            action: string;
            keys: components["schemas"]["ContentKey"][];
            sources: components["schemas"]["SourceVersion"][];
        };
        ContentKey: {
            name: string;
            fingerprint?: string;
            /** Format: date-time */
            since: string;
            sequence: number;
        };
        Present: {
            targets?: components["schemas"]["Target"][];
            held?: components["schemas"]["Held"][];
            content?: components["schemas"]["Content"];
            mapping?: components["schemas"]["Mapping"];
            store?: components["schemas"]["Store"];
            source?: components["schemas"]["PresentVersion"];
        };
        PresentVersion: {
            store: string;
            key: string;
            version: string;
            /** Format: date-time */
            since: string;
        };
        Timeline: {
            changes: components["schemas"]["Change"][];
            next?: string;
            now?: components["schemas"]["Present"];
        };
        ReachedTarget: {
            mapping?: string;
            namespace: string;
            secret: string;
            /** @description The versions that the Secret holds now. */
            versions: string[];
            sequence: number;
            /** Format: date-time */
            time: string;
        };
        Reach: {
            /** @description The version, if the request named none. */
            version?: string;
            /** @description The Secrets that hold the version now. */
            now: components["schemas"]["ReachedTarget"][];
            /** @description The Secrets that held it. */
            held: components["schemas"]["ReachedTarget"][];
            /** @description The Secrets that hold another version. */
            others: components["schemas"]["ReachedTarget"][];
            /** @description Whether there are more Secrets. */
            more: boolean;
        };
        SearchResult: {
            /** @enum {string} */
            kind: "mapping" | "secret" | "store" | "key" | "actor" | "note";
            name: string;
            namespace?: string;
            secret?: string;
            store?: string;
            /** @description For a note: the record that it is about. */
            sequence?: number;
        };
        SearchResults: {
            results: components["schemas"]["SearchResult"][];
        };
        Series: {
            /** @description When each step begins, in seconds since 1970. */
            times: number[];
            changes: number[];
            failures: number[];
            refusals: number[];
            held: number[];
            /** @description The length of a step, in seconds. */
            step: number;
        };
        StoreAges: {
            store: string;
            buckets: {
                /** @enum {string} */
                upTo: "1d" | "7d" | "30d" | "90d" | "365d" | "older";
                secrets: number;
            }[];
        };
        Picture: {
            /** @description For each store, how long its secrets have had their present version. */
            ages: components["schemas"]["StoreAges"][];
            stale: {
                count: number;
                oldest?: number;
            };
            /** @description The targets by state. */
            states: {
                [key: string]: number;
            };
            calls: {
                store: string;
                made: number;
                expected: number;
            }[];
        };
        SourceAge: components["schemas"]["PresentVersion"] & {
            days: number;
        };
        SourceList: {
            sources: components["schemas"]["SourceAge"][];
            next?: string;
        };
        GraphNode: {
            id: string;
            /** @enum {string} */
            kind: "store" | "mapping" | "secret" | "workload";
            name: string;
            namespace?: string;
            state: string;
        };
        Graph: {
            nodes: components["schemas"]["GraphNode"][];
            edges: {
                from: string;
                to: string;
            }[];
            /** @description How many mappings and Secrets are left out. */
            more: number;
        };
        RunTarget: {
            mapping: string;
            namespace: string;
            secret: string;
            /** @enum {string} */
            outcome: "created" | "updated" | "deleted" | "unchanged" | "waiting" | "refused" | "held" | "failed";
            code?: string;
            message?: string;
            remedy?: string;
            keys: components["schemas"]["Key"][];
            /** @description The sequence of the record whose source versions the target is pinned to. */
            pinned?: number;
        };
        SyncAnswer: {
            ok: boolean;
            requestId: string;
            summary: {
                [key: string]: number;
            };
            targets: components["schemas"]["RunTarget"][];
            held: components["schemas"]["Held"][];
            warnings: components["schemas"]["Warning"][];
            pending: number;
        };
        ApproveAnswer: components["schemas"]["SyncAnswer"] & {
            approval: components["schemas"]["Approval"];
        };
        PruneAnswer: components["schemas"]["SyncAnswer"] & {
            /** @description Targets that are kept until their mapping has created the replacement. */
            waiting?: {
                mapping: string;
                namespace: string;
                secret: string;
                until: {
                    namespace: string;
                    secret: string;
                };
            }[];
            /** @description Targets or namespaces that could not be read, and may hold orphans. */
            unseen?: {
                what: string;
                code: string;
            }[];
        };
        Accepted: {
            requestId: string;
            /** @description The number of targets that are checked because of this event. */
            targets: number;
        };
        Handshake: {
            validationResponse: string;
        };
    };
}
export interface operations {
    livez: {
        parameters: {
            query?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Liveness"];
                };
            };
        };
    };
    readyz: {
        parameters: {
            query?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Readiness"];
                };
            };
        };
    };
    metrics: {
        parameters: {
            query?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    status: {
        parameters: {
            query?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Status"];
                };
            };
        };
    };
    openapi: {
        parameters: {
            query?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                content: {
                    "application/json": Record<string, never>;
                };
            };
        };
    };
    listMappings: {
        parameters: {
            query?: {
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["MappingList"];
                };
            };
        };
    };
    getMapping: {
        parameters: {
            query?: never;
            path: {
                /** @description The name of the mapping. */
                name: string;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Mapping"];
                };
            };
        };
    };
    syncMapping: {
        parameters: {
            query?: never;
            path: {
                /** @description The name of the mapping. */
                name: string;
            };
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description Whether to make changes outside of their `windows`. The records of the request are flagged. */
                    override?: boolean;
                    /** @description Why. Required with `override`. Do not include values. */
                    reason?: string;
                } | null;
            };
        };
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["SyncAnswer"];
                };
            };
        };
    };
    rollBackMapping: {
        parameters: {
            query?: never;
            path: {
                /** @description The name of the mapping. */
                name: string;
            };
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @description The sequence of an earlier change of the mapping. */
                    to: number;
                    /** @description One namespace of a mapping with several targets. */
                    namespace?: string;
                };
            };
        };
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["SyncAnswer"];
                };
            };
        };
    };
    unpinMapping: {
        parameters: {
            query?: never;
            path: {
                /** @description The name of the mapping. */
                name: string;
            };
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description One namespace of a mapping with several targets. */
                    namespace?: string;
                } | null;
            };
        };
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["SyncAnswer"];
                };
            };
        };
    };
    listHeld: {
        parameters: {
            query?: {
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["HeldList"];
                };
            };
        };
    };
    release: {
        parameters: {
            query?: never;
            path: {
                /** @description The id from the list of held changes. */
                id: string;
            };
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never> | null;
            };
        };
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["SyncAnswer"];
                };
            };
        };
    };
    releaseMany: {
        parameters: {
            query?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @description The ids from the list of held changes. */
                    ids: string[];
                };
            };
        };
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Released"];
                };
            };
        };
    };
    listLeft: {
        parameters: {
            query?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["LeftAnswer"];
                };
            };
        };
    };
    prune: {
        parameters: {
            query?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never> | null;
            };
        };
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["PruneAnswer"];
                };
            };
        };
    };
    planNamespace: {
        parameters: {
            query: {
                /** @description The namespace. */
                namespace: string;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Plan"];
                };
            };
        };
    };
    listApprovals: {
        parameters: {
            query?: {
                /** @description Only requests in this state. `open`: those that wait, and those whose action is about to be carried out. */
                state?: "open" | "pending" | "approved" | "rejected" | "done" | "expired" | "all";
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["ApprovalList"];
                };
            };
        };
    };
    approve: {
        parameters: {
            query?: never;
            path: {
                /** @description The id from the list of requests. */
                id: string;
            };
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description For the audit. Do not include values. */
                    note?: string;
                } | null;
            };
        };
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["ApproveAnswer"];
                };
            };
        };
    };
    reject: {
        parameters: {
            query?: never;
            path: {
                /** @description The id from the list of requests. */
                id: string;
            };
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description For the audit. Do not include values. */
                    note?: string;
                } | null;
            };
        };
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Approval"];
                };
            };
        };
    };
    listRecords: {
        parameters: {
            query?: {
                /** @description Records from this time on: `7d`, `2026-01-31` or `2026-01-31T08:00:00Z`. */
                since?: string;
                /** @description Records before this time. */
                until?: string;
                /** @description The actor: a kind or a name. */
                actor?: string;
                /** @description Records of this mapping. */
                mapping?: string;
                /** @description Records of targets in this namespace. */
                namespace?: string;
                /** @description Records of targets with this Secret name. */
                secret?: string;
                /** @description Records of this store. */
                store?: string;
                /** @description Records of this source key. */
                key?: string;
                /** @description Records of this action. */
                action?: "read" | "create" | "update" | "delete" | "repair" | "adopt" | "refuse" | "hold" | "release" | "restart" | "giveUp" | "sweep" | "configure" | "command" | "export" | "review" | "rollback" | "unpin" | "request" | "approve" | "reject" | "warn" | "notify";
                /** @description Records with this outcome. */
                outcome?: "ok" | "failed" | "refused" | "held";
                /** @description Records with this error code. */
                code?: string;
                /** @description Records of this request id. */
                request?: string;
                /** @description Records that have this fingerprint before or after the change. */
                fingerprint?: string;
                /** @description Records in this review state. */
                review?: "unreviewed" | "reviewed" | "flagged";
                /** @description With `fingerprint`: also show changes that used a source version with this fingerprint. */
                trace?: boolean;
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["RecordList"];
                };
            };
        };
    };
    getRecord: {
        parameters: {
            query?: never;
            path: {
                /** @description The sequence of the record. */
                sequence: number;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["RecordDetail"];
                };
            };
        };
    };
    verify: {
        parameters: {
            query?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Verification"];
                };
            };
        };
    };
    listReview: {
        parameters: {
            query?: {
                /** @description Records from this time on: `7d`, `2026-01-31` or `2026-01-31T08:00:00Z`. */
                since?: string;
                /** @description Records before this time. */
                until?: string;
                /** @description The actor: a kind or a name. */
                actor?: string;
                /** @description Records of this mapping. */
                mapping?: string;
                /** @description Records of targets in this namespace. */
                namespace?: string;
                /** @description Records of targets with this Secret name. */
                secret?: string;
                /** @description Records of this store. */
                store?: string;
                /** @description Records of this source key. */
                key?: string;
                /** @description Records of this action. */
                action?: "read" | "create" | "update" | "delete" | "repair" | "adopt" | "refuse" | "hold" | "release" | "restart" | "giveUp" | "sweep" | "configure" | "command" | "export" | "review" | "rollback" | "unpin" | "request" | "approve" | "reject" | "warn" | "notify";
                /** @description Records with this outcome. */
                outcome?: "ok" | "failed" | "refused" | "held";
                /** @description Records with this error code. */
                code?: string;
                /** @description Records of this request id. */
                request?: string;
                /** @description Records that have this fingerprint before or after the change. */
                fingerprint?: string;
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["ReviewQueue"];
                };
            };
        };
    };
    reviewMany: {
        parameters: {
            query?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @description The sequences of the records to review. */
                    sequences: number[];
                    /**
                     * @description The new review state.
                     * @enum {string}
                     */
                    state: "reviewed" | "flagged";
                    /** @description A note for other reviewers. Never put a secret value here. */
                    note?: string;
                    /** @description The day on which somebody looks at the record again, such as `2026-01-31`. */
                    followUp?: string;
                };
            };
        };
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Reviewed"];
                };
            };
        };
    };
    review: {
        parameters: {
            query?: never;
            path: {
                /** @description The sequence of the record. */
                sequence: number;
            };
        };
        requestBody: {
            content: {
                "application/json": {
                    /**
                     * @description The new review state.
                     * @enum {string}
                     */
                    state: "reviewed" | "flagged";
                    /** @description A note for other reviewers. Never put a secret value here. */
                    note?: string;
                    /** @description The day on which somebody looks at the record again, such as `2026-01-31`. */
                    followUp?: string;
                };
            };
        };
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Record"];
                };
            };
        };
    };
    exportRecords: {
        parameters: {
            query?: {
                /** @description The format of each record. */
                format?: "jsonl" | "csv" | "ocsf";
                /** @description Records from this time on: `7d`, `2026-01-31` or `2026-01-31T08:00:00Z`. */
                since?: string;
                /** @description Records before this time. */
                until?: string;
                /** @description The actor: a kind or a name. */
                actor?: string;
                /** @description Records of this mapping. */
                mapping?: string;
                /** @description Records of targets in this namespace. */
                namespace?: string;
                /** @description Records of targets with this Secret name. */
                secret?: string;
                /** @description Records of this store. */
                store?: string;
                /** @description Records of this source key. */
                key?: string;
                /** @description Records of this action. */
                action?: "read" | "create" | "update" | "delete" | "repair" | "adopt" | "refuse" | "hold" | "release" | "restart" | "giveUp" | "sweep" | "configure" | "command" | "export" | "review" | "rollback" | "unpin" | "request" | "approve" | "reject" | "warn" | "notify";
                /** @description Records with this outcome. */
                outcome?: "ok" | "failed" | "refused" | "held";
                /** @description Records with this error code. */
                code?: string;
                /** @description Records of this request id. */
                request?: string;
                /** @description Records that have this fingerprint before or after the change. */
                fingerprint?: string;
                /** @description Records in this review state. */
                review?: "unreviewed" | "reviewed" | "flagged";
            };
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                content: {
                    "application/x-ndjson": string;
                    "text/csv": string;
                };
            };
        };
    };
    timeline: {
        parameters: {
            query?: {
                /** @description Records of targets in this namespace. */
                namespace?: string;
                /** @description Records of targets with this Secret name. */
                secret?: string;
                /** @description Records of this mapping. */
                mapping?: string;
                /** @description Records of this store. */
                store?: string;
                /** @description Records of this source key. */
                key?: string;
                /** @description The actor: a kind or a name. */
                actor?: string;
                /** @description The version of the source. */
                version?: string;
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Timeline"];
                };
            };
        };
    };
    reach: {
        parameters: {
            query: {
                /** @description Records of this store. */
                store: string;
                /** @description Records of this source key. */
                key: string;
                /** @description The version of the source. */
                version?: string;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Reach"];
                };
            };
        };
    };
    search: {
        parameters: {
            query: {
                /** @description The text, in any letter case. */
                q: string;
                /** @description The number of results. */
                limit?: number;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["SearchResults"];
                };
            };
        };
    };
    series: {
        parameters: {
            query?: {
                /** @description Records from this time on: `7d`, `2026-01-31` or `2026-01-31T08:00:00Z`. */
                since?: string;
                /** @description Records before this time. */
                until?: string;
                /** @description The length of a step: `1h`, `1d`. */
                step?: string;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Series"];
                };
            };
        };
    };
    picture: {
        parameters: {
            query?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Picture"];
                };
            };
        };
    };
    listSources: {
        parameters: {
            query?: {
                /** @description Records of this store. */
                store?: string;
                /** @description Only sources whose present version was first read longer ago: `90d`. */
                olderThan?: string;
                /** @description Only sources whose present version was first read within this time: `90d`. */
                newerThan?: string;
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["SourceList"];
                };
            };
        };
    };
    graph: {
        parameters: {
            query?: {
                /** @description Records of this mapping. */
                mapping?: string;
                /** @description Records of this store. */
                store?: string;
                /** @description Records of targets in this namespace. */
                namespace?: string;
                /** @description About how many nodes to return. */
                limit?: number;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Graph"];
                };
            };
        };
    };
    stream: {
        parameters: {
            query?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                content: {
                    "text/event-stream": string;
                };
            };
        };
    };
    listChanges: {
        parameters: {
            query?: {
                /** @description Records from this time on: `7d`, `2026-01-31` or `2026-01-31T08:00:00Z`. */
                since?: string;
                /** @description Records before this time. */
                until?: string;
                /** @description The actor: a kind or a name. */
                actor?: string;
                /** @description Records of this mapping. */
                mapping?: string;
                /** @description Records of targets in this namespace. */
                namespace?: string;
                /** @description Records of targets with this Secret name. */
                secret?: string;
                /** @description Records of this store. */
                store?: string;
                /** @description Records of this source key. */
                key?: string;
                /** @description Records of this action. */
                action?: "read" | "create" | "update" | "delete" | "repair" | "adopt" | "refuse" | "hold" | "release" | "restart" | "giveUp" | "sweep" | "configure" | "command" | "export" | "review" | "rollback" | "unpin" | "request" | "approve" | "reject" | "warn" | "notify";
                /** @description Records with this outcome. */
                outcome?: "ok" | "failed" | "refused" | "held";
                /** @description Records with this error code. */
                code?: string;
                /** @description Records of this request id. */
                request?: string;
                /** @description Records that have this fingerprint before or after the change. */
                fingerprint?: string;
                /** @description Records in this review state. */
                review?: "unreviewed" | "reviewed" | "flagged";
                /** @description `open`: only changes without a review that failed, were refused or held, or that deleted, adopted or rolled back a target. */
                state?: "open" | "all";
                /** @description The number of items on a page. */
                limit?: number;
                /** @description The `next` of the previous page. */
                cursor?: string;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["ChangeList"];
                };
            };
        };
    };
    getChange: {
        parameters: {
            query?: never;
            path: {
                /** @description The sequence of the record. */
                sequence: number;
            };
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["ChangeDetail"];
                };
            };
        };
    };
    postWebhook: {
        parameters: {
            query?: never;
            path: {
                /** @description The name in `events.webhooks`. */
                name: string;
            };
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @description A store that the webhook may report about. */
                    store: string;
                    /** @description The key in the store, as mappings name it. */
                    key: string;
                };
            };
        };
        responses: {
            202: {
                content: {
                    "application/json": components["schemas"]["Accepted"];
                };
            };
        };
    };
    postEventGrid: {
        parameters: {
            query?: never;
            path: {
                /** @description The name in `events.eventGrid`. */
                name: string;
            };
        };
        /** @description One event or a list of events. */
        requestBody: {
            content: {
                "application/json": Record<string, never> | unknown[];
            };
        };
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Handshake"];
                };
            };
            202: {
                content: {
                    "application/json": components["schemas"]["Accepted"];
                };
            };
        };
    };
    validateEventGrid: {
        parameters: {
            query?: never;
            path: {
                /** @description The name in `events.eventGrid`. */
                name: string;
            };
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                content?: never;
            };
        };
    };
    signInMethods: {
        parameters: {
            query?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["SignInMethods"];
                };
            };
        };
    };
    login: {
        parameters: {
            query?: {
                /** @description The fragment of the page to show after the sign-in. */
                to?: string;
            };
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            303: {
                content?: never;
            };
        };
    };
    callback: {
        parameters: {
            query?: {
                code?: string;
                state?: string;
                iss?: string;
                error?: string;
            };
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            303: {
                content?: never;
            };
        };
    };
    deviceLogin: {
        parameters: {
            query?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never> | null;
            };
        };
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["DeviceSignIn"];
                };
            };
        };
    };
    deviceToken: {
        parameters: {
            query?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    deviceCode?: string;
                    renewal?: string;
                };
            };
        };
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["DeviceToken"];
                };
            };
            202: {
                content: {
                    "application/json": components["schemas"]["DevicePending"];
                };
            };
        };
    };
    logout: {
        parameters: {
            query?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never> | null;
            };
        };
        responses: {
            /** @description Done. */
            204: {
                content?: never;
            };
        };
    };
    session: {
        parameters: {
            query?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                content: {
                    "application/json": components["schemas"]["Session"];
                };
            };
        };
    };
}
