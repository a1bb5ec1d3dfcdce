"""Words that are no plain names in other engines."""

from __future__ import annotations

# PostgreSQL 18: every word of pg_get_keywords() whose catcode is not U.
KEYWORDS_OF_POSTGRES = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case
    cast char character check coalesce collate collation column concurrently constraint create cross current_catalog
    current_date current_role current_schema current_time current_timestamp current_user dec decimal default
    deferrable desc distinct do else end except exists extract false fetch float for foreign freeze from full grant
    greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull join
    json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize
    json_table json_value lateral leading least left like limit localtime localtimestamp merge_action national
    natural nchar none normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay
    placing position precision primary real references returning right row select session_user setof similar
    smallint some substring symmetric system_user table tablesample then time timestamp to trailing treat trim true
    union unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat
    xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
    """.split()  # noqa: SIM905 - a list of strings would be four times as long
)

# Snowflake: its documentation's reserved and limited keywords, without those limited in SHOW only.
KEYWORDS_OF_SNOWFLAKE = frozenset(
    """
    all alter and any as between by case cast check column connect constraint create cross current current_date
    current_time current_timestamp current_user database delete distinct drop else exists false following for from
    full grant group gscluster having ilike in increment inner insert intersect into is issue join lateral left like
    localtime localtimestamp minus natural not null of on or order organization qualify regexp revoke right rlike
    row rows sample schema select set some start table tablesample then to trigger true try_cast union unique update
    using values view when whenever where with
    """.split()  # noqa: SIM905 - a list of strings would be four times as long
)
