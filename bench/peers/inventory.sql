-- What :user_id has, and by month (year * 12 + month - 1) what came from :since to :until.
WITH installs AS (
    SELECT "skillId", month, COUNT(*) AS number, COUNT(*) FILTER (WHERE "enabled") AS enabled
    FROM (
        SELECT "skillId", "enabled",
               CASE WHEN "createdAt" BETWEEN :since AND :until
                    THEN CAST(EXTRACT(year FROM "createdAt") * 12 + EXTRACT(month FROM "createdAt") - 1 AS integer)
               END AS month
        FROM "InstalledSkill" WHERE "userId" = :user_id
    ) AS dated
    GROUP BY "skillId", month
)
SELECT 'agents' AS kind, month, NULL AS name, CAST(COUNT(*) AS integer) AS number,
       CAST(COUNT(*) FILTER (WHERE live) AS integer) AS marked
FROM (
    SELECT "status" IN ('active', 'running') AS live,
           CASE WHEN "createdAt" BETWEEN :since AND :until
                THEN CAST(EXTRACT(year FROM "createdAt") * 12 + EXTRACT(month FROM "createdAt") - 1 AS integer)
           END AS month
    FROM "Agent" WHERE "userId" = :user_id
) AS agents
GROUP BY month
UNION ALL
SELECT 'skills', month, NULL, CAST(SUM(number) AS integer), CAST(SUM(enabled) AS integer)
FROM installs GROUP BY month
UNION ALL
SELECT 'tasks', month, NULL, CAST(COUNT(*) AS integer), 0
FROM (
    SELECT CASE WHEN "createdAt" BETWEEN :since AND :until
                THEN CAST(EXTRACT(year FROM "createdAt") * 12 + EXTRACT(month FROM "createdAt") - 1 AS integer)
           END AS month
    FROM "ScheduledTask" WHERE "userId" = :user_id
) AS tasks
GROUP BY month
UNION ALL
SELECT * FROM (
    SELECT 'top', CAST(NULL AS integer), "Skill"."name", CAST(SUM(installs.enabled) AS integer) AS enabled, 0
    FROM installs JOIN "Skill" ON "Skill"."id" = installs."skillId"
    GROUP BY "Skill"."id", "Skill"."name"
    HAVING SUM(installs.enabled) > 0
    ORDER BY enabled DESC, "Skill"."name" LIMIT 6
) AS top
