-- Makes PostgreSQL read its files again, and fails unless it takes every line of them. A setting that
-- needs a restart is no mistake: it waits for one.
do $$
declare
  refused text;
begin
  select string_agg(concat(file.sourcefile, ':', file.sourceline, ': ', error), '; ') into refused
    from pg_file_settings as file left join pg_settings as known on known.name = file.name
    where error is not null and context is distinct from 'postmaster';
  if refused is null then
    select string_agg(concat('pg_hba.conf:', line_number, ': ', error), '; ') into refused
      from pg_hba_file_rules where error is not null;
  end if;
  if refused is not null then
    raise exception '%', refused;
  end if;
end
$$;
select pg_conf_load_time() as before \gset
select pg_reload_conf();
-- A new session has what the postmaster has after its reload.
\connect -
select 1 / (pg_conf_load_time() > :'before')::int as reloaded;
