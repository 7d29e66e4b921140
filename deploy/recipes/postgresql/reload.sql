-- Makes PostgreSQL read its files again, and fails unless it took every line of them.
do $$
declare
  refused text;
begin
  select string_agg(sourcefile || ':' || sourceline || ': ' || error, '; ') into refused
    from pg_file_settings where error is not null and name is not null and not applied
      and error <> 'setting could not be applied';
  if refused is null then
    select string_agg('pg_hba.conf:' || line_number || ': ' || error, '; ') into refused
      from pg_hba_file_rules where error is not null;
  end if;
  if refused is not null then
    raise exception '%', refused;
  end if;
end
$$;
select pg_conf_load_time() as before \gset
select pg_reload_conf();
-- A new session is one of the postmaster after its reload.
\connect -
select 1 / (pg_conf_load_time() > :'before')::int as reloaded;
