module httpclients

go 1.18
