-- The tables that the SQL of flight_delay reads, as the sample warehouse has them; cases fill them.

CREATE TABLE scheduled_flights (
  flight_date DATE,
  carrier VARCHAR,
  flight INTEGER,
  origin VARCHAR,
  dest VARCHAR,
  sched_dep_at TIMESTAMPTZ,
  sched_arr_at TIMESTAMPTZ,
  distance_mi INTEGER,
  recorded_at TIMESTAMPTZ
);

CREATE TABLE flight_outcomes (
  flight_date DATE,
  carrier VARCHAR,
  flight INTEGER,
  origin VARCHAR,
  sched_dep_at TIMESTAMPTZ,
  tailnum VARCHAR,
  dep_delay_min INTEGER,
  arr_delay_min INTEGER,
  air_time_min INTEGER,
  cancelled BOOLEAN,
  recorded_at TIMESTAMPTZ
);

CREATE TABLE weather (
  origin VARCHAR,
  observed_at TIMESTAMPTZ,
  temp_f DOUBLE,
  dewp_f DOUBLE,
  humid_pct DOUBLE,
  wind_dir_deg INTEGER,
  wind_speed_mph DOUBLE,
  wind_gust_mph DOUBLE,
  precip_in DOUBLE,
  pressure_mb DOUBLE,
  visib_mi DOUBLE,
  recorded_at TIMESTAMPTZ
);

CREATE TABLE planes (
  tailnum VARCHAR,
  year_built INTEGER,
  type VARCHAR,
  manufacturer VARCHAR,
  model VARCHAR,
  engines INTEGER,
  seats INTEGER,
  speed INTEGER,
  engine VARCHAR
);

CREATE TABLE airports (
  faa VARCHAR,
  name VARCHAR,
  lat DOUBLE,
  lon DOUBLE,
  alt_ft INTEGER,
  tzone VARCHAR
);

CREATE TABLE airlines (
  carrier VARCHAR,
  name VARCHAR
);
