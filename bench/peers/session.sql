-- Whose session :token is, and how to reach the owner's gateway.
SELECT "Session"."userId" AS user_id,
       "User"."openclawUrl" AS gateway_url,
       COALESCE("Agent"."config" ->> 'gatewayToken', agent_registrations.gateway_token) AS gateway_token
FROM "Session"
LEFT JOIN "User" ON "User"."id" = "Session"."userId"
LEFT JOIN "Agent" ON "Agent"."id" = (
    SELECT newest."id" FROM "Agent" AS newest
    WHERE newest."userId" = "User"."id" ORDER BY newest."createdAt" DESC, newest."id" DESC LIMIT 1
)
LEFT JOIN agent_registrations ON agent_registrations.user_id = "User"."id"
WHERE "Session"."sessionToken" = :token AND "Session"."expires" > :now
