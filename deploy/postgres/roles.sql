-- The roles of docker-compose.yml: one migrates, one writes, one reads, and one for the stage `notify`,
-- which talks to servers outside and sees its own tables only. Run once when the data folder is new; harmless to run again, also on a database from before there were roles (docs/compose.md).
-- `tidegate` migrations grant what each may do (db/grants.py).
\getenv migrate POSTGRES_PASSWORD_MIGRATE
\getenv write POSTGRES_PASSWORD_WRITE
\getenv read POSTGRES_PASSWORD_READ
\getenv notify POSTGRES_PASSWORD_NOTIFY
SELECT 'CREATE ROLE ' || name || ' LOGIN' FROM unnest(ARRAY['tidegate_migrate', 'tidegate_write', 'tidegate_read', 'tidegate_notify']) AS name
  WHERE name NOT IN (SELECT rolname FROM pg_roles) \gexec
ALTER ROLE tidegate_migrate PASSWORD :'migrate';
ALTER ROLE tidegate_write PASSWORD :'write';
ALTER ROLE tidegate_read PASSWORD :'read';
ALTER ROLE tidegate_notify PASSWORD :'notify';
ALTER ROLE tidegate_read SET default_transaction_read_only = on;
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO tidegate_migrate, tidegate_write, tidegate_read, tidegate_notify', current_database()) \gexec
SELECT format('GRANT TEMPORARY ON DATABASE %I TO tidegate_write', current_database()) \gexec
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO tidegate_migrate;
-- what an earlier version made under another user
SELECT format('ALTER %s %I OWNER TO tidegate_migrate', CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, relname)
  FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')
  AND oid NOT IN (SELECT objid FROM pg_depend WHERE deptype IN ('a', 'i') AND classid = 'pg_class'::regclass) \gexec
SELECT format('ALTER FUNCTION %s OWNER TO tidegate_migrate', oid::regprocedure)
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace \gexec
