BEGIN TRANSACTION;
CREATE TABLE claims (
        owner TEXT NOT NULL, purpose TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (owner, purpose), UNIQUE (kind, value)
    ) WITHOUT ROWID;
INSERT INTO "claims" VALUES('33c7e836-c402-432f-95bc-7e3bf3a25fa8','mac','mac','2e:4d:a0:4d:4f:25');
INSERT INTO "claims" VALUES('33c7e836-c402-432f-95bc-7e3bf3a25fa8','tap','tap','tap2');
INSERT INTO "claims" VALUES('33c7e836-c402-432f-95bc-7e3bf3a25fa8','user','user','53265');
INSERT INTO "claims" VALUES('9abf89d6-e8fb-4fba-b0dc-23fac05a569d','guest/4','address','10.213.0.1');
INSERT INTO "claims" VALUES('9abf89d6-e8fb-4fba-b0dc-23fac05a569d','mac','mac','82:b3:ad:e9:d0:0c');
INSERT INTO "claims" VALUES('9abf89d6-e8fb-4fba-b0dc-23fac05a569d','tap','tap','tap1');
INSERT INTO "claims" VALUES('9abf89d6-e8fb-4fba-b0dc-23fac05a569d','user','user','53264');
INSERT INTO "claims" VALUES('default/33c7e836-c402-432f-95bc-7e3bf3a25fa8','load-balancer/private/4','address','198.18.213.225');
INSERT INTO "claims" VALUES('default/9abf89d6-e8fb-4fba-b0dc-23fac05a569d','load-balancer/public/4','address','198.18.213.209');
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "facts" VALUES('boot','00000000-0000-0000-0000-000000000000');
INSERT INTO "facts" VALUES('subresources-port','43749');
COMMIT;
PRAGMA user_version = 1;
